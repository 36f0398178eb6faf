"""Feature extraction with Lightning and with fastai, as their users write it, beside ours.

They get an environment of their own: the folder that TLF_BENCH_PEERS names, which is made once and
kept, or a temporary one. What runs in it lies in `peer_scripts/`. The same network, weights, batches
and epochs, in turns. Theirs run in float32, their default, with a DataLoader with two workers, random
resized crops and flips; ours with default options and an empty cache. fastai puts its own, larger head
on, and trains the backbone's batch normalisation.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import ants_bees
from tests.benchmarks.measuring import (
    cache,
    data_folder,
    last_line,
    ratios,
    report_of,
    setting,
    shown,
    shown_accuracy,
    total_seconds,
)

EPOCHS = setting("EPOCHS", 10)
SEEDS = setting("SEEDS", 3)
BATCH = 32
PACKAGES = ("lightning", "finetuning-scheduler", "fastai", "torch", "torchvision", "safetensors")
SCRIPTS = {
    "Lightning": "lightning_feature_extraction",
    "fastai": "fastai_feature_extraction",
}


def main() -> dict[str, Any] | None:
    """Print versions, seconds, accuracies and ratios."""
    data = data_folder()
    if data is None:
        return None
    found: dict[str, list[dict[str, Any]]] = {}
    mine = []
    with environment() as python:
        for seed in range(SEEDS):
            for name, script in SCRIPTS.items():
                run = run_script(python, script, told(data, seed, EPOCHS))
                found.setdefault(name, []).append(run)
            mine.append(ours(data, seed))
    seconds = [total_seconds(report) for report in mine]
    accuracies = [report["metrics"]["accuracy"] for report in mine]
    print(f"tlf, {mine[0]['precision']}: {shown(seconds, '.1f')} s, {shown_accuracy(accuracies)}")
    result: dict[str, Any] = {"tlf": {"seconds": seconds, "accuracy": accuracies}}
    for name, runs in found.items():
        theirs, accuracies = ([run[key] for run in runs] for key in ("seconds", "accuracy"))
        ratio = ratios(seconds, theirs)
        print(f"{name}, float32: {shown(theirs, '.1f')} s, {shown_accuracy(accuracies)}")
        print(f"  tlf / {name}: {shown(ratio)} of the wall time; {shown_versions(runs)}")
        result[name] = {"seconds": theirs, "accuracy": accuracies, "ratio": ratio}
    return result


def ours(data: Path, seed: int) -> dict[str, Any]:
    """Return the report of a run with default options and an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        spec = ants_bees.spec(data, folder)
        training = {"epochs": EPOCHS, "batch_size": BATCH}
        where = cache("auto", Path(folder) / "cache")
        return report_of({**spec, "training": training, "seed": seed, **where})


def told(data: Path, seed: int, epochs: int, **more: Any) -> dict[str, Any]:
    """Return what a script needs to be told."""
    return {
        "train": str(data / "hymenoptera" / "train"),
        "validation": str(data / "hymenoptera" / "val"),
        "weights": str(data / "weights" / "torchvision_mobilenet_v2.safetensors"),
        "epochs": epochs,
        "batch": BATCH,
        "workers": 2,
        "seed": seed,
        "rate": 2e-3,
        **more,
    }


@contextmanager
def environment() -> Iterator[Path]:
    """Yield the interpreter of an environment with the other libraries."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("TLF_BENCH_PEERS") or Path(temporary) / "peers").absolute()
        python = folder / "bin" / "python"
        # Left behind by an installation that came to its end.
        complete = folder / "complete"
        if not complete.exists():
            print(f"installing {', '.join(PACKAGES)}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
            complete.touch()
        yield python


def run_script(python: Path, script: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run a script of `peer_scripts/` and return what it prints: seconds, accuracy, versions."""
    path = Path(__file__).parent / "peer_scripts" / f"{script}.py"
    return last_line([str(python), str(path), json.dumps(settings)])


def shown_versions(runs: list[dict[str, Any]]) -> str:
    """Return the packages and versions of a script's runs."""
    return ", ".join(f"{name} {version}" for name, version in runs[0]["versions"].items())


if __name__ == "__main__":
    main()
