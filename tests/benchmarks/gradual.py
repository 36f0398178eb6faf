"""Gradual unfreezing: what the cache saves, and beside Lightning's finetuning-scheduler.

Ours runs with an empty cache and without one, with no augmentation and with default views; then
finetuning-scheduler, in an environment of its own (see `peers.py`): the same stages thaw before the
same epochs at the same peak rates, in batches of 32, with all their parameters (ours keeps norms
frozen, its default); float32, a constant rate and two workers, as its users have it. All in turns,
each in a process of its own.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import re
import tempfile
from pathlib import Path
from typing import Any

import tlf
from tests.benchmarks import ants_bees, peers
from tests.benchmarks.measuring import (
    cache,
    data_folder,
    frozen_seconds,
    ratios,
    report_of,
    setting,
    shown,
    shown_accuracy,
    total_seconds,
)

EPOCHS = setting("EPOCHS", 10)
SEEDS = setting("SEEDS", 3)
VIEWS = ("none", "every-epoch")
MODES = ("auto", "off")


def main() -> dict[str, Any] | None:
    """Print seconds, ratios and accuracies."""
    data = data_folder()
    if data is None:
        return None
    reports: dict[tuple[str, str], list[dict[str, Any]]] = {}
    theirs = []
    with peers.environment() as python:
        for seed in range(SEEDS):
            for views in VIEWS:
                for mode in MODES:
                    reports.setdefault((views, mode), []).append(ours(data, seed, views, mode))
            settings = peers.told(data, seed, EPOCHS, phases=phases(data))
            theirs.append(peers.run_script(python, "gradual_unfreezing", settings))
    result: dict[str, Any] = {}
    for views in VIEWS:
        print(f"views {views}, {reports[views, 'off'][0]['precision']}")
        result[views] = show(reports[views, "auto"], reports[views, "off"], theirs)
    seconds, accuracies = ([run[key] for run in theirs] for key in ("seconds", "accuracy"))
    print(
        f"finetuning-scheduler, float32: {shown(seconds, '.1f')} s, accuracy "
        f"{shown_accuracy(accuracies)}; {peers.shown_versions(theirs)}"
    )
    return {**result, "finetuning-scheduler": theirs}


def show(
    auto: list[dict[str, Any]], off: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Print, and return, what came of the runs with one kind of views."""
    found: dict[str, Any] = {}
    for name, reports in (("auto", auto), ("off", off)):
        seconds = [total_seconds(report) for report in reports]
        frozen = [frozen_seconds(report) for report in reports]
        accuracies = [report["metrics"]["accuracy"] for report in reports]
        print(
            f"  cache {name:<4} {shown(seconds, '.1f')} s, of them {shown(frozen, '.1f')} s for images "
            f"and the frozen part; accuracy {shown_accuracy(accuracies)}"
        )
        timings = [report["timings"] for report in reports]
        found[name] = {"seconds": seconds, "accuracy": accuracies, "timings": timings}
    recovered = [1 - ratio for ratio in ratios(map(frozen_seconds, auto), map(frozen_seconds, off))]
    whole = ratios(found["auto"]["seconds"], found["off"]["seconds"])
    peer = ratios(found["auto"]["seconds"], [run["seconds"] for run in theirs])
    print(f"  share recovered of images and frozen part: {shown(recovered)}, aim: at least 0.8")
    print(f"  auto / off: {shown(whole)} of the whole")
    print(f"  auto / finetuning-scheduler: {shown(peer)} of the whole, aim: at most 0.5")
    return {**found, "recovered": recovered, "auto / off": whole, "auto / peer": peer}


def spec_of(data: Path, folder: str) -> dict[str, Any]:
    """Return the spec, with default views."""
    training = {"epochs": EPOCHS, "batch_size": peers.BATCH}
    return {
        **ants_bees.spec(data, folder),
        "strategy": "gradual-unfreezing",
        "training": training,
    }


def ours(data: Path, seed: int, views: str, mode: str) -> dict[str, Any]:
    """Return the report of a run with an empty cache, or none."""
    with tempfile.TemporaryDirectory() as folder:
        spec = spec_of(data, folder)
        training = {**spec["training"], "views": views}
        where = cache(mode, Path(folder) / "cache")
        return report_of({**spec, "training": training, "seed": seed, **where})


def phases(data: Path) -> list[dict[str, Any]]:
    """Return the steps of our plan as finetuning-scheduler's phases."""
    found, learning = [], set()
    for step in tlf.plan(spec_of(data, "runs")).steps:
        stages = {group.rpartition(":")[0]: step.rates[group] for group in step.trainable}
        new = {stage: rate for stage, rate in stages.items() if stage not in learning}
        learning |= new.keys()
        names = ["classifier" if stage == "head" else stage for stage in new]
        found.append(
            {
                "parameters": [re.escape(f"model.{name}.") + ".*" for name in names],
                "rate": max(new.values()),
                "until": step.first_epoch + step.epochs,
            }
        )
    return found


if __name__ == "__main__":
    main()
