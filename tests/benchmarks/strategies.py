"""Every strategy with default options on four tasks: what it gives, what it costs, what it withstands.

A cell is one run, of a strategy on some images with a seed, with an empty cache. Its accuracy, seconds
and counts are written into `results/strategies.json` as soon as it is done, with its accuracy on
damaged copies of the evaluation images; `docs/strategies.md` is made from that file and
`strategies_page.md`.

    .venv/bin/python -m tests.benchmarks.strategies              # what is missing, seed by seed
    .venv/bin/python -m tests.benchmarks.strategies --only digits/10 ants-bees/all/probe
    .venv/bin/python -m tests.benchmarks.strategies --rerun probe    # its defaults have changed
    .venv/bin/python -m tests.benchmarks.strategies --page       # write the page, measure nothing
    .venv/bin/python -m tests.benchmarks.strategies --tuning     # options, on held-out training images

It may be stopped and started again, and several processes may work on one file.

Needs the ants and bees, MNIST as PNG files, and MobileNetV2's ImageNet weights in the folder that
TLF_TEST_DATA names, and peft for `lora`.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tlf
from tests.benchmarks import ants_bees
from tests.benchmarks.corrupted import EvaluationImages
from tests.benchmarks.measuring import ROOT, cache, data_folder, setting, total_seconds
from tests.benchmarks.results_file import Cell, Found, ResultsFile, cell
from tests.benchmarks.strategies_page import Page
from tlf.errors import RunInterrupted, TlfError
from tlf.registry import load_registry

SEEDS = setting("SEEDS", 5)
TUNING_SEEDS = setting("TUNING_SEEDS", 3)
HERE = Path(__file__).parent
RESULTS = HERE / "results" / "strategies.json"
TUNING_RESULTS = HERE / "results" / "tuning.json"
TEMPLATE = HERE / "strategies_page.md"
PAGE = ROOT / "docs" / "strategies.md"

#: By a row's name, the strategy and its options.
ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "feature-extraction": ("feature-extraction", {}),
    "probe": ("probe", {}),
    "knn": ("knn", {}),
    "full-fine-tuning": ("full-fine-tuning", {}),
    "gradual-unfreezing": ("gradual-unfreezing", {}),
    "gradual-unfreezing, on a plateau": ("gradual-unfreezing", {"advance": "on-plateau"}),
    "lp-ft": ("lp-ft", {}),
    "l2-sp": ("l2-sp", {}),
    "norm-tuning": ("norm-tuning", {}),
    "lora": ("lora", {}),
    "surgical": ("surgical", {}),
    "surgical, first stages": ("surgical", {"stages": ["..features.3"]}),
    "surgical, last stages": ("surgical", {"stages": ["features.15.."]}),
    "robust": ("robust", {}),
    "robust, half and half": ("robust", {"shares": [0.5]}),
    "robust, three trainings": ("robust", {"trainings": 3, "shares": [1.0]}),
    "from-scratch": ("from-scratch", {}),
}

#: Strategies that have no row, on purpose: `auto` takes one that has, and MobileNetV2 has no biases
#: outside its normalisations.
LEFT_OUT: frozenset[str] = frozenset({"auto", "bias-tuning"})

#: Rows of which a second run, which finds what the first one kept, is timed too.
WARM = ("feature-extraction", "probe", "knn")


class Data(NamedTuple):
    """Images to train on and to evaluate with.

    Attributes:
        folder: Below the folder of real data.
        shots: Images of each class to train on, or None for all.
        held_out: Share of the training images that options are tuned by.
        corrupted: How many evaluation images of each class are damaged, or None for all.
        transforms: Section of the spec, if it is not the default.
    """

    folder: str
    shots: int | None
    held_out: float
    corrupted: int | None
    transforms: Mapping[str, Any] | None


SMALL = {"name": "standard", "options": {"size": 64, "flip": 0.0}}

DATA: Mapping[str, Data] = {
    "ants-bees/all": Data("hymenoptera", None, 0.4, None, None),
    "ants-bees/10": Data("hymenoptera", 10, 0.4, None, None),
    "digits/10": Data("mnist_png", 10, 0.1, 30, SMALL),
    "digits/100": Data("mnist_png", 100, 0.1, 30, SMALL),
}

#: By a strategy's name, the options that its defaults are chosen from.
TUNING: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "lp-ft": [
        {"body_rate": rate, "head_multiplier": multiplier}
        for rate, multiplier in (
            (0.03, 0.03),
            (0.1, 0.1),
            (0.3, 0.3),
            (0.03, 0.3),
            (0.1, 1.0),
            (0.01, 0.01),
        )
    ]
    + [{"strengths": [strength]} for strength in (0.1, 0.01)],
    "norm-tuning": [{"body_rate": rate} for rate in (0.03, 0.1, 0.3, 1.0)],
    "l2-sp": [{"strength": strength} for strength in (10.0, 100.0, 1000.0)],
    "lora": [{"body_rate": rate} for rate in (0.1, 0.3, 1.0)]
    + [{"rank": 32}, {"alpha": 16.0}, {"body_rate": 0.3, "rank": 32}],
}


def main(arguments: Sequence[str] = ()) -> None:
    """Measure what is missing, or write the page.

    Args:
        arguments: Of the command line.

    Raises:
        SystemExit: The user stopped it.
    """
    chosen = parsed(arguments)
    results = ResultsFile(chosen.results)
    if chosen.page:
        page = Page(results.read(), ROWS, tuple(DATA), SEEDS)
        chosen.page.write_text(page.filled(TEMPLATE.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {chosen.page}")
        return
    data = data_folder()
    if data is None:
        return
    for name in forgotten():
        print(f"the strategy {name} has no row, and is not left out on purpose")
    wanted = cells_of(tuning=chosen.tuning, only=chosen.only)
    if chosen.rerun:
        rows = set(chosen.rerun)
        # By name, whatever their options were.
        stale = [
            one for one in results.read() if one.strategy in rows and selected(one, chosen.only)
        ]
        print(f"dropped {results.drop(stale)} cells of {', '.join(chosen.rerun)}")
    # `kill` ends a process as tidily as Ctrl-C does: no folders are left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        measure(wanted, results, Bench(data, results).run_of(chosen.tuning), chosen.limit_hours)
    except (KeyboardInterrupt, RunInterrupted):
        print("stopped; the same command goes on", flush=True)
        sys.exit(130)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="strategies", description="Every strategy on four tasks.")
    parser.add_argument(
        "--tuning", action="store_true", help="options, on held-out training images"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="file that results are added to"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="PART",
        help="only cells whose `data/strategy` contains one of these; the whole name of images or of a "
        "row means just that one",
    )
    parser.add_argument(
        "--limit-hours", type=float, metavar="H", help="begin no cell after so long"
    )
    parser.add_argument("--rerun", nargs="+", metavar="NAME", help="measure these rows anew")
    parser.add_argument(
        "--page",
        nargs="?",
        type=Path,
        const=PAGE,
        metavar="FILE",
        help=f"write the page and measure nothing (default: {PAGE.relative_to(ROOT)})",
    )
    chosen = parser.parse_args(arguments)
    if chosen.page and chosen.tuning:
        parser.error("--page has no page for --tuning")
    unknown = set(chosen.rerun or ()) - set(TUNING if chosen.tuning else ROWS)
    if unknown:
        parser.error(f"no row is called {', '.join(sorted(unknown))}")
    chosen.results = chosen.results or (TUNING_RESULTS if chosen.tuning else RESULTS)
    return chosen


def forgotten() -> list[str]:
    """Return the strategies that are installed, have no row and are not left out on purpose."""
    installed = {entry.declaration.name for entry in load_registry().entries("strategy")}
    return sorted(installed - {strategy for strategy, _ in ROWS.values()} - LEFT_OUT)


def cells_of(*, tuning: bool, only: Sequence[str] = ()) -> list[Cell]:
    """Return the cells in the order in which they are measured, so that what is done is comparable."""
    everything = tuning_cells() if tuning else cells()
    return [one for one in everything if selected(one, only)]


def cells() -> Iterator[Cell]:
    """Yield the cells of the page: seed by seed."""
    for seed in range(SEEDS):
        for data in DATA:
            for row, (_, options) in ROWS.items():
                yield cell(data, row, options, seed)


def tuning_cells() -> Iterator[Cell]:
    """Yield the cells that options are tuned by: seed by seed."""
    for seed in range(TUNING_SEEDS):
        for data in DATA:
            for strategy, choices in TUNING.items():
                for options in choices:
                    yield cell(data, strategy, options, seed)


def selected(one: Cell, only: Sequence[str]) -> bool:
    """Return whether a cell is among those that `--only` names; all are if it names none."""
    return not only or any(_names(part, one) for part in only)


def _names(part: str, one: Cell) -> bool:
    # `digits/10` does not mean `digits/100`.
    if part in DATA:
        return one.data == part
    if part in ROWS or part in TUNING:
        return one.strategy == part
    return part in f"{one.data}/{one.strategy}"


def measure(
    wanted: Sequence[Cell],
    results: ResultsFile,
    run: Callable[[Cell], dict[str, Any]],
    limit_hours: float | None = None,
) -> None:
    """Measure every cell that is missing and that no other process is at work on.

    Args:
        wanted: The cells, in order.
        results: What is known already, and where the rest is added.
        run: Measures a cell.
        limit_hours: No cell is begun after so long.
    """
    end = None if limit_hours is None else time.monotonic() + 3600 * limit_hours
    failed: set[Cell] = set()
    while end is None or time.monotonic() < end:
        with results.claimed([one for one in wanted if one not in failed]) as one:
            if one is None:
                break
            try:
                found = run(one)
            except RunInterrupted:
                raise
            except TlfError as error:
                failed.add(one)
                print(f"{name_of(one)}: failed: {error}", flush=True)
                continue
            known = results.add(one, found)
        print(
            f"{name_of(one)}: accuracy {found['accuracy']:.1%}, {found['seconds']:.1f} s; "
            f"{shown_left([one for one in wanted if one not in failed], known)}",
            flush=True,
        )
    known = results.read()
    left = [one for one in wanted if one not in known]
    print(f"{len(wanted) - len(left)} of {len(wanted)} cells are done, {len(failed)} failed")


def name_of(one: Cell) -> str:
    """Return what a cell is called when it is printed."""
    options = "" if one.options == "{}" or one.strategy not in TUNING else f" {one.options}"
    return f"{one.data}/{one.strategy}{options}, seed {one.seed}"


def shown_left(wanted: Iterable[Cell], known: Found) -> str:
    """Return how many cells are left, and how many hours they will take one process."""
    left = [one for one in wanted if one not in known]
    hours = hours_left(left, known)
    return f"{len(left)} cells left" + ("" if hours is None else f", {hours:.2f} hours")


def hours_left(left: Iterable[Cell], known: Found) -> float | None:
    """Return how long cells will take, or None if nothing is known.

    A cell is taken to need the mean of those of the same strategy on the same images; if there are
    none, of all on the same images; if there are none, of all.

    Args:
        left: The cells.
        known: What has been measured.
    """
    if not known:
        return None
    seconds: dict[tuple[str, ...], list[float]] = {}
    for one, found in known.items():
        took: float = found["seconds_of_cell" if "seconds_of_cell" in found else "seconds"]
        for key in ((one.data, one.strategy), (one.data,), ()):
            seconds.setdefault(key, []).append(took)
    means = {key: statistics.fmean(values) for key, values in seconds.items()}
    total = 0.0
    for one in left:
        keys = ((one.data, one.strategy), (one.data,), ())
        total += next(means[key] for key in keys if key in means)
    return total / 3600


class Bench:
    """Carries out the runs.

    Args:
        data: The folder of real data.
        results: Whose folder of temporary things holds the cache that tuning shares.
    """

    def __init__(self, data: Path, results: ResultsFile) -> None:
        self.data = data
        self.tuning_cache = results.state / "cache"
        self._images: dict[tuple[str, int | None], EvaluationImages] = {}
        self._is_warm = False

    def run_of(self, tuning: bool) -> Callable[[Cell], dict[str, Any]]:
        """Return what measures a cell."""
        return self.tuned if tuning else self.measured

    def measured(self, one: Cell) -> dict[str, Any]:
        """Return what is recorded of a cell of the page."""
        self._warm_up()
        began = time.perf_counter()
        strategy, _ = ROWS[one.strategy]
        with tempfile.TemporaryDirectory(prefix="tlf-strategies-") as name:
            folder = Path(name)
            spec = {
                **self._spec(one, strategy, evaluation_options(self.data, one)),
                **cache("auto", folder / "cache"),
            }
            run = tlf.run({**spec, "output": str(folder / "cold")})
            found = recorded(run.report)
            if one.strategy in WARM:
                warm = tlf.run({**spec, "output": str(folder / "warm")})
                found["seconds_warm"] = round(total_seconds(warm.report), 2)
            found["corrupted"] = self._evaluation_images(one.data).accuracies(run.directory)
        differ = found["corrupted"]["differ"]
        if differ:
            print(f"{name_of(one)}: {differ} images are predicted as another class than in the run")
        found["seconds_of_cell"] = round(time.perf_counter() - began, 2)
        return found

    def tuned(self, one: Cell) -> dict[str, Any]:
        """Return what is recorded of a cell that options are tuned by."""
        with tempfile.TemporaryDirectory(prefix="tlf-strategies-") as name:
            spec = {
                **self._spec(one, one.strategy, tuning_options(self.data, one)),
                **cache("auto", self.tuning_cache),
                "output": name,
            }
            report = tlf.run(spec).report
        metrics = report["metrics"]
        return {
            "accuracy": round(metrics["accuracy"], 6),
            "loss": round(metrics["loss"], 6),
            "seconds": round(total_seconds(report), 2),
        }

    def _spec(
        self,
        one: Cell,
        strategy: str,
        data_options: Mapping[str, Any],
    ) -> dict[str, Any]:
        transforms = DATA[one.data].transforms
        return {
            **ants_bees.spec(self.data, ""),
            "name": "strategies",
            "data": {"name": "image-folder", "options": dict(data_options)},
            "strategy": {"name": strategy, "options": json.loads(one.options)},
            "seed": one.seed,
            **({} if transforms is None else {"transforms": transforms}),
        }

    def _evaluation_images(self, name: str) -> EvaluationImages:
        data = DATA[name]
        key = (data.folder, data.corrupted)
        if key not in self._images:
            folder = self.data / data.folder / "val"
            self._images[key] = EvaluationImages(folder, data.corrupted)
        return self._images[key]

    def _warm_up(self) -> None:
        """Run something small once: what a process does only once is no cell's."""
        if self._is_warm:
            return
        with tempfile.TemporaryDirectory(prefix="tlf-strategies-") as name:
            small = {
                "name": "warm-up",
                "data": {"name": "digits", "options": {"shots": 3}},
                "backbone": "tlf/resnet20",
                "strategy": "full-fine-tuning",
                "training": {"epochs": 1},
                "output": name,
            }
            tlf.run({**small, **cache("auto", Path(name) / "cache")})
        self._is_warm = True


def recorded(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of a run's report."""
    return {
        "accuracy": round(report["metrics"]["accuracy"], 6),
        "loss": round(report["metrics"]["loss"], 6),
        "seconds": round(total_seconds(report), 2),
        "images_through_backbone": report["images_through_backbone"],
        "trainable_parameters": max(step["trainable_parameters"] for step in report["steps"]),
        "version": tlf.__version__,
        "threads": report["threads"],
        "precision": report["precision"],
    }


def evaluation_options(data: Path, one: Cell) -> dict[str, Any]:
    """Return the options of the images: trained on one folder, evaluated with the other."""
    folder = data / DATA[one.data].folder
    folders = {"train": str(folder / "train"), "validation": str(folder / "val")}
    return {**folders, **shots(one)}


def tuning_options(data: Path, one: Cell) -> dict[str, Any]:
    """Return the options of the images: a part of the training folder is held out, no other is read."""
    images = DATA[one.data]
    return {
        "folder": str(data / images.folder / "train"),
        "validation_fraction": images.held_out,
        "split_seed": one.seed,
        **shots(one),
    }


def shots(one: Cell) -> dict[str, int]:
    """Return the options that say how many images of each class are trained on."""
    count = DATA[one.data].shots
    return {} if count is None else {"shots": count, "shots_seed": one.seed}


if __name__ == "__main__":
    main(sys.argv[1:])
