"""Our defaults beside fastai's `fine_tune`: the same weights, images and epochs.

fastai trains its head for one epoch and then everything for five, in batches of 64, with its own head,
rates and transforms, in float32. Ours train for six epochs with default options and an empty cache.
fastai's environment is made as for `peers.py`. In turns, each run in a process of its own.

    .venv/bin/python -m tests.benchmarks.fine_tune

Every run is added to `results/fine_tune.json` as soon as it is done, and none that is there is
repeated: a benchmark that was stopped goes on.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import ants_bees, peers
from tests.benchmarks.measuring import (
    cache,
    data_folder,
    interval,
    report_of,
    setting,
    shown,
    shown_accuracy,
    total_seconds,
)
from tests.benchmarks.results_file import Cell, ResultsFile, cell

EPOCHS = setting("EPOCHS", 6)
SEEDS = setting("SEEDS", 5)
STRATEGIES = ("feature-extraction", "full-fine-tuning", "lp-ft")
FASTAI = "fastai fine_tune"
DATA = "ants-bees/all"
RESULTS = Path(__file__).parent / "results" / "fine_tune.json"


def main(arguments: Sequence[str] = ()) -> dict[str, Any] | None:
    """Measure what is missing, and print accuracies, seconds and the differences to fastai.

    Args:
        arguments: The file of results, if it is another one.
    """
    data = data_folder()
    if data is None:
        return None
    results = ResultsFile(Path(arguments[0]) if arguments else RESULTS)
    wanted = [cell(DATA, name, {}, s) for s in range(SEEDS) for name in (FASTAI, *STRATEGIES)]
    with peers.environment() as python:
        for one in wanted:
            if one not in results.read():
                found = fastai(python, data, one) if one.strategy == FASTAI else ours(data, one)
                results.add(one, found)
                print(f"{one.strategy}, seed {one.seed}: {found['accuracy']:.1%}", flush=True)
    return show(results)


def fastai(python: Path, data: Path, one: Cell) -> dict[str, Any]:
    """Return what fastai's run came to."""
    run = peers.run_script(python, "fastai_fine_tune", peers.told(data, one.seed, EPOCHS))
    return {"accuracy": run["accuracy"], "seconds": run["seconds"], "versions": run["versions"]}


def ours(data: Path, one: Cell) -> dict[str, Any]:
    """Return what a run with default options and an empty cache came to."""
    with tempfile.TemporaryDirectory() as folder:
        spec = ants_bees.spec(data, folder)
        where = cache("auto", Path(folder) / "cache")
        changes = {"training": {"epochs": EPOCHS}, "strategy": one.strategy, "seed": one.seed}
        report = report_of({**spec, **changes, **where})
    return {"accuracy": report["metrics"]["accuracy"], "seconds": total_seconds(report)}


def show(results: ResultsFile) -> dict[str, Any]:
    """Print, and return, what is known."""
    known = results.read()
    found: dict[str, Any] = {}
    theirs = [known[cell(DATA, FASTAI, {}, seed)]["accuracy"] for seed in range(SEEDS)]
    for name in (FASTAI, *STRATEGIES):
        runs = [known[cell(DATA, name, {}, seed)] for seed in range(SEEDS)]
        accuracy = [run["accuracy"] for run in runs]
        seconds = [run["seconds"] for run in runs]
        low, high = interval(accuracy)
        print(
            f"{name:<20} {shown_accuracy(accuracy)}, {low:.1%} to {high:.1%}; "
            f"{shown(seconds, '.1f')} s"
        )
        differences = [one - other for one, other in zip(accuracy, theirs, strict=True)]
        found[name] = {
            "accuracy": accuracy,
            "interval": [low, high],
            "seconds": statistics.median(seconds),
            "difference": list(interval(differences)),
        }
        if name != FASTAI:
            low, high = found[name]["difference"]
            print(f"{'':<20} minus fastai: {low:+.1%} to {high:+.1%}")
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
