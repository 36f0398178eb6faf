"""How many augmented views it takes: accuracy by number of views, and what chance is in it.

Two tables for a strategy, on ants and bees and on ten of each of MNIST's digits: the accuracy for
each number of views with five seeds of the run; and for four views, a grid of five seeds of the run
by five seeds of the augmentation, with the share of the variance that each of them carries.

    .venv/bin/python -m tests.benchmarks.views [--strategy full-fine-tuning] [--results FILE]

Every run is added to FILE as soon as it is done, and none that is there is repeated: a benchmark
that was stopped goes on. All runs share a cache, `FILE.cache` unless `--cache` names a folder.

Needs the ants and bees, MNIST as PNG files, and MobileNetV2's ImageNet weights in the folder that
TLF_TEST_DATA names.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tlf
from tests.benchmarks import comparing
from tests.benchmarks.measuring import cache, data_folder, interval, setting, shown_accuracy

EPOCHS = setting("EPOCHS", 10)
SEEDS = setting("SEEDS", 5)
#: Images of each digit to train on.
SHOTS = setting("SHOTS", 10)
VIEWS = ("none", 1, 2, 4, 8, "every-epoch")
GRID_VIEWS = 4
SETS = ("ants-bees", "digits")


class Cell(NamedTuple):
    """One run."""

    data: str
    strategy: str
    views: str | int
    epochs: int
    seed: int
    augmentation_seed: int


def main(arguments: Sequence[str] = ()) -> dict[str, Any] | None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="views", description="Accuracy by number of views.")
    parser.add_argument("--strategy", default="feature-extraction")
    parser.add_argument("--results", type=Path, help="file that runs are added to")
    parser.add_argument("--cache", type=Path, help="folder of the cache")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS, help="sets of images")
    chosen = parser.parse_args(arguments)
    data = data_folder()
    if data is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        results = chosen.results or Path(folder) / "results.jsonl"
        where = chosen.cache or results.with_name(results.name + ".cache")
        accuracy = {}
        for name in chosen.sets:
            for cell in cells(name, chosen.strategy):
                accuracy[cell] = measured(cell, data, results, where.resolve())
    return {name: show(name, chosen.strategy, accuracy) for name in chosen.sets}


def cells(data: str, strategy: str) -> Iterator[Cell]:
    """Yield the runs of a set of images, each once; those of a seed together, for equal noise."""
    for seed in range(SEEDS):
        for views in VIEWS:
            for augmentation_seed in range(SEEDS if views == GRID_VIEWS else 1):
                yield Cell(data, strategy, views, EPOCHS, seed, augmentation_seed)


def measured(cell: Cell, data: Path, results: Path, where: Path) -> float:
    """Return the accuracy of a run, from the file of results if it is there."""
    for line in results.read_text(encoding="utf-8").splitlines() if results.exists() else ():
        found = json.loads(line)
        if found["cell"] == cell._asdict():
            return found["accuracy"]
    with tempfile.TemporaryDirectory() as folder:
        report = tlf.run(spec_of(cell, data, folder, where)).report
    accuracy: float = report["metrics"]["accuracy"]
    line = {"cell": cell._asdict(), "accuracy": accuracy, "timings": dict(report["timings"])}
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(*cell, f"{accuracy:.1%}, {report['timings']['total_seconds']:.1f} s", flush=True)
    return accuracy


def spec_of(cell: Cell, data: Path, folder: str, where: Path) -> dict[str, Any]:
    """Return the spec of a run. Digits are cropped and not mirrored."""
    spec = {**comparing.SPECS[cell.data](data), "output": folder}
    if cell.data == "digits":
        spec["data"]["options"]["shots"] = SHOTS
        options = {**spec["transforms"]["options"], "flip": 0.0}
        spec["transforms"] = {"name": "standard", "options": options}
    training = {
        "epochs": cell.epochs,
        "views": cell.views,
        "augmentation_seed": cell.augmentation_seed,
    }
    return {
        **spec,
        "strategy": cell.strategy,
        "training": training,
        "seed": cell.seed,
        **cache("auto", where),
    }


def show(data: str, strategy: str, accuracy: Mapping[Cell, float]) -> dict[str, Any]:
    """Print, and return, the tables of a set of images."""
    print(f"{data}, {strategy}, {EPOCHS} epochs, 95% intervals of the mean over the seeds")
    table = {}
    for views in VIEWS:
        values = [accuracy[Cell(data, strategy, views, EPOCHS, seed, 0)] for seed in range(SEEDS)]
        low, high = interval(values)
        print(f"  views {views!s:<12} {shown_accuracy(values)}, {low:.1%} to {high:.1%}")
        table[str(views)] = {"accuracy": values, "interval": [low, high]}
    grid = [
        [
            accuracy[Cell(data, strategy, GRID_VIEWS, EPOCHS, seed, augmentation_seed)]
            for augmentation_seed in range(SEEDS)
        ]
        for seed in range(SEEDS)
    ]
    parts = decomposed(np.array(grid))
    print(f"  {GRID_VIEWS} views, seed of the run (rows) by seed of the augmentation (columns):")
    for row in grid:
        print("   ", "  ".join(f"{value:.1%}" for value in row))
    for name, part in parts.items():
        print(
            f"    {name:<18} {part['squares']:.0%} of the sum of squares; standard deviation "
            f"{part['variance'] ** 0.5:.2%}, {part['share']:.0%} of the variance"
        )
    return {"views": table, "grid": grid, "variance": parts}


def decomposed(grid: np.ndarray) -> dict[str, dict[str, float]]:
    """Return what rows, columns and the rest carry of the variance of a square of values.

    Of the sum of squares, chance alone gives rows and columns a share too, `1 / (n + 1)` each. The
    components of the variance are freed of that: by the expected mean squares of two random factors.
    """
    count = len(grid)
    mean = grid.mean()
    rows, columns = grid.mean(axis=1) - mean, grid.mean(axis=0) - mean
    rest = grid - mean - rows[:, None] - columns[None, :]
    squares = {
        "seed": count * float((rows**2).sum()),
        "augmentation_seed": count * float((columns**2).sum()),
        "rest": float((rest**2).sum()),
    }
    free = max(count - 1, 1)
    noise = squares["rest"] / free**2
    variances = {
        name: noise if name == "rest" else max(0.0, (value / free - noise) / count)
        for name, value in squares.items()
    }
    whole, sum_of_squares = (sum(found.values()) or 1.0 for found in (variances, squares))
    return {
        name: {
            "squares": squares[name] / sum_of_squares,
            "variance": variances[name],
            "share": variances[name] / whole,
        }
        for name in squares
    }


if __name__ == "__main__":
    main(sys.argv[1:])
