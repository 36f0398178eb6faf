"""What `tlf tune-lr` picks, beside a grid of learning rates that are all tried out.

Two strategies on ants and bees: a run for each rate of the grid and each seed, by its loss and accuracy
on the validation images after the last epoch; and one range test, from whose curves three rules pick a
rate, whose loss is read off between its neighbours in the grid. The range test sees no validation
image, and the grid is judged by them: its best is flattered.

    TLF_TEST_DATA=… .venv/bin/python -m tests.benchmarks learning-rates

Every run is added to `results/learning_rates.json` as soon as it is done, and none that is there is
repeated: a benchmark that was stopped goes on. All runs share a cache, for nothing here is timed.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from math import exp, log
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

import tlf
from tests.benchmarks import ants_bees
from tests.benchmarks.measuring import cache, data_folder, report_of, setting
from tests.benchmarks.results_file import Cell, Found, ResultsFile, cell
from tlf.engine.learning_rates import two_digits
from tlf.engine.rate_rules import Curve, Reading, geometric, pick_rate, read

EPOCHS = setting("EPOCHS", 4)
DATA = "ants-bees/all"
#: Of each strategy, the rates that are tried, and the seeds.
GRID = {
    "feature-extraction": ((3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1), (0, 1, 2)),
    "full-fine-tuning": ((3e-4, 1e-3, 3e-3, 1e-2, 3e-2), (0, 1)),
}
#: Side of the images, in pixels: a quarter of an hour and not a whole one where everything learns.
SIZES = {"feature-extraction": 224, "full-fine-tuning": 128}
#: The range test: its default.
BATCHES, LOWEST, HIGHEST, REPEATS = 60, 1e-5, 10.0, 3
RESULTS = Path(__file__).parent / "results" / "learning_rates.json"


def midway(reading: Reading) -> float:
    """Return what tlf picks."""
    rate = pick_rate(reading)
    assert rate is not None
    return rate


#: What can be taken of a curve that is not flat.
RULES: dict[str, Callable[[Reading], float]] = {
    "steepest fall": lambda reading: reading.steepest or 0.0,
    "a tenth of the lowest loss": lambda reading: (reading.lowest or 0.0) / 10,
    "midway (tlf's)": midway,
}


def main(arguments: Sequence[str] = ()) -> dict[str, Any] | None:
    """Measure what is missing, and print the tables.

    Args:
        arguments: The file of results, if it is another one.
    """
    data = data_folder()
    if data is None:
        return None
    results = ResultsFile(Path(arguments[0]) if arguments else RESULTS)
    with tempfile.TemporaryDirectory() as folder:
        for strategy in GRID:
            if tested(strategy) not in results.read():
                results.add(tested(strategy), range_test(data, strategy, Path(folder)))
        for one in runs():
            if one not in results.read():
                found = measured(data, one, Path(folder))
                results.add(one, found)
                print(*one, f"{found['accuracy']:.1%}, loss {found['loss']:.4f}", flush=True)
    print(markdown(results.read()))
    return {}


def tested(strategy: str) -> Cell:
    """Return the cell of a strategy's range test."""
    return cell(DATA, strategy, {"batches": BATCHES, "repeats": REPEATS}, 0)


def trained(strategy: str, rate: float, seed: int) -> Cell:
    """Return the cell of a run."""
    return cell(DATA, strategy, {"learning_rate": rate}, seed)


def runs() -> Iterator[Cell]:
    """Yield the runs of the grid; those of a seed together."""
    for number in range(max(len(seeds) for _, seeds in GRID.values())):
        for strategy, (rates, seeds) in GRID.items():
            for seed in seeds[number : number + 1]:
                for rate in rates:
                    yield trained(strategy, rate, seed)


def spec_of(data: Path, strategy: str, folder: Path) -> dict[str, Any]:
    """Return the spec of a strategy, but for its rate and its seed."""
    size = SIZES[strategy]
    options = {"size": size, "resize": size * 256 // 224}
    return {
        **ants_bees.spec(data, str(folder / "runs")),
        "transforms": {"name": "standard", "options": options},
        "strategy": strategy,
        "training": {"epochs": EPOCHS},
        **cache("auto", folder / "cache"),
    }


def range_test(data: Path, strategy: str, folder: Path) -> dict[str, Any]:
    """Return the losses of a range test."""
    rates = tlf.tune_lr(
        spec_of(data, strategy, folder),
        batches=BATCHES,
        lowest=LOWEST,
        highest=HIGHEST,
        repeats=REPEATS,
    )
    (step,) = rates.tested
    assert step.together is not None
    curves = [one.curve for one in step.together.repeats]
    print(strategy, rates.learning_rate, flush=True)
    return {
        "losses": [[round(loss, 5) for loss in curve.losses] for curve in curves],
        "endings": [curve.ending for curve in curves],
    }


def measured(data: Path, one: Cell, folder: Path) -> dict[str, Any]:
    """Return what a run came to."""
    spec = spec_of(data, one.strategy, folder)
    training = {**spec["training"], **json.loads(one.options)}
    metrics = report_of({**spec, "training": training, "seed": one.seed})["metrics"]
    return {"accuracy": metrics["accuracy"], "loss": round(metrics["loss"], 5)}


def picked(known: Found, strategy: str) -> dict[str, float]:
    """Return the rate that each rule picks: the median of the repeats, of two digits."""
    found = known[tested(strategy)]
    rates = geometric(LOWEST, HIGHEST, BATCHES)
    readings = [
        read(Curve(rates[: len(losses)], tuple(losses), ending))
        for losses, ending in zip(found["losses"], found["endings"], strict=True)
    ]
    return {
        name: two_digits(exp(median(log(rule(reading)) for reading in readings)))
        for name, rule in RULES.items()
    }


def loss_at(known: Found, strategy: str, rate: float) -> float:
    """Return the mean loss at a rate, on the line between its neighbours in the grid."""
    grid, seeds = GRID[strategy]
    losses = [fmean(known[trained(strategy, one, seed)]["loss"] for seed in seeds) for one in grid]
    return float(np.interp(log(rate), np.log(grid), losses))


def markdown(known: Found) -> str:
    """Return the tables, as `docs/tuning.md` has them."""
    parts = []
    for strategy, (grid, seeds) in GRID.items():
        lines = [
            f"`{strategy}`, {EPOCHS} epochs, {len(seeds)} seeds, images of {SIZES[strategy]} pixels:",
            "",
            "| learning rate | validation loss | accuracy |",
            "|--:|--:|--:|",
        ]
        for rate in grid:
            found = [known[trained(strategy, rate, seed)] for seed in seeds]
            loss, accuracy = (fmean(one[key] for one in found) for key in ("loss", "accuracy"))
            lines.append(f"| {rate:g} | {loss:.3f} | {accuracy:.1%} |")
        lines += ["", "| rule | picks | loss there |", "|---|--:|--:|"]
        lines += [
            f"| {name} | {rate:g} | {loss_at(known, strategy, rate):.3f} |"
            for name, rate in picked(known, strategy).items()
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main(sys.argv[1:])
