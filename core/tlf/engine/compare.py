"""Comparing strategies on the same data: one run for each strategy and seed, and a table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tlf.engine.directory import RunDirectory
from tlf.engine.listener import Listener
from tlf.engine.metrics import accuracy_interval
from tlf.engine.prepare import Job, prepare
from tlf.engine.run import Run, run_raw
from tlf.errors import (
    DataError,
    PluginError,
    Problem,
    RunInterrupted,
    SpecError,
    TlfError,
    did_you_mean,
)
from tlf.registry import Registry, check, load_registry
from tlf.spec import PartSpec, RawSpec, load_raw
from tlf.spec.paths import resolve_path

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes:
        strategy: Name of the strategy.
        seed: The run's seed.
        directory: The run's directory within the comparison's, or None if the run failed.
        error: Why it failed, or None.
        metrics: Of the reported split.
        total_seconds: As in the run's report.
        trainable_parameters: The most that any step trains.
        images_through_backbone: As in the run's report.
        images_decoded: As in the run's report.
        images_measured: As in the run's report.
    """

    strategy: str
    seed: int
    directory: str | None = None
    error: str | None = None
    metrics: Mapping[str, float] | None = None
    total_seconds: float | None = None
    trainable_parameters: int | None = None
    images_through_backbone: int | None = None
    images_decoded: int = 0
    images_measured: int = 0


@dataclass(frozen=True)
class Row:
    """What the runs of one strategy came to.

    Attributes:
        strategy: Name of the strategy.
        seeds: Seeds of the runs that finished.
        failed: How many runs did not.
        accuracy: Mean over the seeds, in [0, 1]; None if no run finished.
        accuracy_interval: 95% interval of that mean over the images that might have been measured.
        seconds: Mean over the seeds. What an earlier run has left in the cache is not computed again.
        trainable_parameters: The most that any step trains.
        images_through_backbone: Mean over the seeds.
    """

    strategy: str
    seeds: tuple[int, ...]
    failed: int
    accuracy: float | None
    accuracy_interval: tuple[float, float] | None
    seconds: float | None
    trainable_parameters: int | None
    images_through_backbone: float | None


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Attributes:
        directory: Where its files are.
        images_decoded: How many times an image was decoded, in all runs together.
        images_measured: How many images each accuracy is of.
        metrics_on: The split they are of.
        rows: One for each strategy, in the order asked for.
        cells: One for each run.
    """

    directory: Path
    images_decoded: int
    images_measured: int
    metrics_on: str
    rows: tuple[Row, ...]
    cells: tuple[Cell, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what `comparison.json` holds."""
        return {
            "schema_version": SCHEMA_VERSION,
            "images_decoded": self.images_decoded,
            "images_measured": self.images_measured,
            "metrics_on": self.metrics_on,
            "rows": [asdict(row) for row in self.rows],
            "runs": [asdict(cell) for cell in self.cells],
        }


def compare(
    spec: str | Path | Mapping[str, Any],
    strategies: Sequence[str],
    *,
    seeds: int = 1,
    overrides: Sequence[str] = (),
    output_directory: str | Path | None = None,
    listener: Callable[[str, int], Listener] | None = None,
) -> Comparison:
    """Run a spec once for each strategy and seed. A run that fails is a row with its reason.

    Args:
        spec: A JSON file, or the same as a mapping.
        strategies: Names of strategies. The spec's own options are used for the one it names, and
            default options for the others.
        seeds: How many seeds, from the spec's own on.
        overrides: Fields to change, each `path.to.field=value`.
        output_directory: Folder for the comparison, which must not exist.
        listener: Makes the listener of a run, of its strategy and seed.

    Raises:
        TlfError: The spec or a strategy's name is wrong, or nothing can be written.
    """
    raw = load_raw(spec, overrides)
    registry = load_registry()
    checked = check(raw, registry)
    _check_names(strategies, registry)
    comparer = _Comparer(raw, checked.strategy, listener)
    cells = [(name, checked.seed + number) for name in strategies for number in range(seeds)]
    output = resolve_path(raw.folder, checked.output, "output")
    with RunDirectory(output, f"{checked.name}-comparison", output_directory) as directory:
        comparer.plan(strategies, checked.seed)
        directory.write_text("spec.json", raw.text)
        folder = directory.publish()
        done = []
        try:
            for strategy, seed in cells:
                done.append(comparer.run(strategy, seed, folder))
        except DataError:
            # All runs have the same data: where the first one cannot read them, there is nothing to
            # compare, and nothing to keep.
            if not done:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        except (RunInterrupted, KeyboardInterrupt) as error:
            raise RunInterrupted(
                f"stopped after {len(done)} of {len(cells)} runs",
                hint=f"the runs so far are kept in `{folder}`",
            ) from error
        comparison = comparer.comparison(folder, strategies, done)
        directory.write_json("comparison.json", comparison.as_json())
    return comparison


def _check_names(strategies: Sequence[str], registry: Registry) -> None:
    """Raise SpecError or PluginError unless every strategy is there, and once only."""
    if isinstance(strategies, str):
        raise SpecError([Problem("strategies", f"`{strategies}` is no list of names")])
    known = [entry.declaration.name for entry in registry.entries("strategy")]
    problems = (
        [] if strategies else [Problem("strategies", "none are named", did_you_mean("", known))]
    )
    missing = []
    for number, name in enumerate(strategies):
        if name in strategies[:number]:
            problems.append(Problem("strategies", f"`{name}` is named twice"))
        elif name not in known:
            missing.append(registry.missing("strategy", name))
    if problems or not all(one.is_plugin_problem for one in missing):
        wrong = [Problem("strategies", one.message, one.hint) for one in missing]
        raise SpecError([*problems, *wrong])
    if missing:
        raise PluginError(missing[0].message, hint=missing[0].hint)


class _Comparer:
    """Carries out the runs of a comparison; the cache lets them share what they compute."""

    def __init__(
        self,
        raw: RawSpec,
        base: PartSpec,
        listener: Callable[[str, int], Listener] | None,
    ) -> None:
        self._raw = raw
        self._base = base
        self._make_listener = listener
        self._job: Job | None = None

    def plan(self, strategies: Sequence[str], seed: int) -> None:
        """Plan every strategy, so that what is wrong is found before anything runs.

        Args:
            strategies: Names of the strategies, at least one.
            seed: Of the first runs; a plan is the same for all seeds.
        """
        registry = load_registry()
        for strategy in strategies:
            raw = self._raw_of(strategy, seed)
            self._job = prepare(check(raw, registry), raw.folder, registry)

    def run(self, strategy: str, seed: int, folder: Path) -> Cell:
        """Carry out one run.

        Args:
            strategy: Name of the strategy.
            seed: The run's seed.
            folder: The comparison's directory.
        """
        name = f"{strategy.replace('/', '-')}-seed-{seed}"
        try:
            finished = run_raw(
                self._raw_of(strategy, seed),
                output_directory=folder / name,
                listener=self._listener(strategy, seed),
            )
        except (RunInterrupted, DataError):
            raise
        except TlfError as error:
            return Cell(strategy, seed, error=str(error))
        return _cell(strategy, seed, name, finished)

    def comparison(
        self, folder: Path, strategies: Sequence[str], cells: Sequence[Cell]
    ) -> Comparison:
        """Return what came of the runs.

        Args:
            folder: The comparison's directory.
            strategies: Names of the strategies, in order.
            cells: The runs.
        """
        assert self._job is not None
        count = max((cell.images_measured for cell in cells), default=0)
        rows = tuple(
            _row(name, [cell for cell in cells if cell.strategy == name], count)
            for name in strategies
        )
        return Comparison(
            directory=folder,
            images_decoded=sum(cell.images_decoded for cell in cells),
            images_measured=count,
            metrics_on=self._job.plan.metrics_on,
            rows=rows,
            cells=tuple(cells),
        )

    def _listener(self, strategy: str, seed: int) -> Listener:
        return self._make_listener(strategy, seed) if self._make_listener else Listener()

    def _raw_of(self, strategy: str, seed: int) -> RawSpec:
        options = self._base.options if strategy == self._base.name else {}
        values = {
            **self._raw.values,
            "strategy": {"name": strategy, "options": options},
            "seed": seed,
        }
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        return RawSpec(values=values, folder=self._raw.folder, source=self._raw.source, text=text)


def _cell(strategy: str, seed: int, name: str, finished: Run) -> Cell:
    report = finished.report
    return Cell(
        strategy=strategy,
        seed=seed,
        directory=name,
        metrics=report["metrics"],
        total_seconds=report["timings"]["total_seconds"],
        trainable_parameters=max(step["trainable_parameters"] for step in report["steps"]),
        images_through_backbone=report["images_through_backbone"],
        images_decoded=report["images_decoded"],
        images_measured=report["images_measured"],
    )


def _row(strategy: str, cells: Sequence[Cell], count: int) -> Row:
    finished = [cell for cell in cells if cell.error is None]
    accuracies = [
        cell.metrics["accuracy"] for cell in finished if cell.metrics and "accuracy" in cell.metrics
    ]
    mean = fmean(accuracies) if accuracies else None
    return Row(
        strategy=strategy,
        seeds=tuple(cell.seed for cell in finished),
        failed=len(cells) - len(finished),
        accuracy=mean,
        accuracy_interval=None if mean is None else accuracy_interval(mean, count),
        seconds=_mean([cell.total_seconds for cell in finished]),
        trainable_parameters=finished[0].trainable_parameters if finished else None,
        images_through_backbone=_mean([cell.images_through_backbone for cell in finished]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
