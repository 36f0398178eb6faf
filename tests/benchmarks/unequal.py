"""Classes of unequal size: what weighting them, drawing them alike, and the focal loss do.

Handwritten digits, of which the first class has a hundred times as many images as the last (Cui et al.,
2019, https://arxiv.org/abs/1901.05555, section 5.1: the numbers fall by the same factor from class to
class). The evaluation images are as many of each class as there are, so that accuracy and balanced
accuracy nearly agree: what is lost on rare classes shows in both.

    .venv/bin/python -m tests.benchmarks.unequal [FILE]

Every run is added to `results/unequal.json` (or to the file) as soon as it is done, and none that is
there is repeated: a benchmark that was stopped goes on.

Needs the digits and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import csv
import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tlf
from tests.benchmarks.measuring import cache, data_folder, interval, setting
from tests.benchmarks.results_file import Cell, ResultsFile, cell

SEEDS = setting("SEEDS", 3)
EPOCHS = setting("EPOCHS", 6)
MOST = setting("MOST", 500)
#: How many times as many images the first class has as the last.
IMBALANCE = 100
RESULTS = Path(__file__).parent / "results" / "unequal.json"

STRATEGIES = ("probe", "gradual-unfreezing")
#: What is tried, by the name of its row: changes of `training`.
ROWS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "class_weights": {"class_weights": "balanced"},
    "sampling": {"sampling": "balanced"},
    "focal": {"loss": "focal"},
}
#: Of each strategy, what changes something in it: a head that is solved for sees every image as often.
APPLIES: Mapping[str, Sequence[str]] = {
    "probe": ("plain", "class_weights"),
    "gradual-unfreezing": tuple(ROWS),
}


def counts(classes: int) -> list[int]:
    """Return how many images each class has."""
    return [max(1, round(MOST * IMBALANCE ** (-n / (classes - 1)))) for n in range(classes)]


def write_table(data: Path, path: Path, seed: int) -> None:
    """Write a table of the images for the data source `csv`; the seed draws the training images."""
    draw = random.Random(seed)
    folders = sorted(one for one in (data / "mnist_png" / "train").iterdir() if one.is_dir())
    rows = []
    for folder, count in zip(folders, counts(len(folders)), strict=True):
        images = sorted(folder.iterdir())
        rows += [(image, folder.name, "train") for image in draw.sample(images, count)]
        evaluated = sorted((data / "mnist_png" / "val" / folder.name).iterdir())
        rows += [(image, folder.name, "validation") for image in evaluated]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        writer.writerows(rows)


def main(arguments: Sequence[str] = ()) -> dict[str, Any] | None:
    """Measure what is missing, and print each row.

    Args:
        arguments: The file of results, if it is another one.
    """
    data = data_folder()
    if data is None:
        return None
    results = ResultsFile(Path(arguments[0]) if arguments else RESULTS)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            table = Path(folder) / f"{seed}.csv"
            write_table(data, table, seed)
            for strategy in STRATEGIES:
                for row in APPLIES[strategy]:
                    one = cell_of(strategy, row, seed)
                    if one not in results.read():
                        results.add(one, measured(data, table, one, Path(folder)))
                        print(f"{strategy}, {row}, seed {seed}: {results.read()[one]}", flush=True)
    return show(results)


def cell_of(strategy: str, row: str, seed: int) -> Cell:
    """Return the cell of a row."""
    return cell("digits/unequal", strategy, {"row": row, **ROWS[row]}, seed)


def measured(data: Path, table: Path, one: Cell, folder: Path) -> dict[str, Any]:
    """Return what a run came to."""
    row = json.loads(one.options)["row"]
    weights = data / "weights" / "torchvision_mobilenet_v2.safetensors"
    spec = {
        "data": {"name": "csv", "options": {"file": str(table)}},
        "backbone": {"name": "torchvision/mobilenet_v2", "weights": str(weights)},
        "transforms": {"name": "standard", "options": {"size": 64, "flip": 0.0}},
        "strategy": one.strategy,
        "training": {"epochs": EPOCHS, **ROWS[row]},
        "seed": one.seed,
        "output": str(folder / "runs"),
        **cache("auto", folder / "cache"),
    }
    report = tlf.run(spec).report
    recalls = [of["recall"] for of in report["classification"]["per_class"]]
    return {
        "accuracy": report["metrics"]["accuracy"],
        "balanced_accuracy": report["metrics"]["balanced-accuracy"],
        # Of the three classes with the most, and with the fewest images.
        "recall_of_many": sum(recalls[:3]) / 3,
        "recall_of_few": sum(recalls[-3:]) / 3,
        "calibration_error": report["classification"]["calibration"]["expected_calibration_error"],
    }


def show(results: ResultsFile) -> dict[str, Any]:
    """Print, and return, means over the seeds with their 95% intervals."""
    known = results.read()
    found: dict[str, Any] = {}
    for strategy in STRATEGIES:
        for row in APPLIES[strategy]:
            cells = [cell_of(strategy, row, seed) for seed in range(SEEDS)]
            runs = [known[one] for one in cells if one in known]
            if not runs:
                continue
            print(f"{strategy}, {row}, {len(runs)} seeds")
            for what in runs[0]:
                values = [run[what] for run in runs]
                low, high = interval(values)
                print(f"    {what}: {sum(values) / len(values):.1%} ({low:.1%} to {high:.1%})")
                found[f"{strategy}, {row}, {what}"] = values
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
