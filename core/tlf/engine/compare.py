"""Comparing strategies, or anything else of a spec, on the same data: `tlf compare`.

Every combination of a grid is run with every seed. The runs share the cache: decoded images and what is
frozen are computed once. Which differences are more than chance is tested over seeds and images.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from tlf.engine.comparing.advice import advise, advise_on_labels
from tlf.engine.comparing.cells import Cell, find_finished, read_outcomes
from tlf.engine.comparing.grid import GIVEN, Axis, Grid, make_grid, text_of
from tlf.engine.comparing.judging import METHOD, SHOTS, Difference, Gain, Results, Row
from tlf.engine.comparing.schedule import Clock, Watcher, carry_out
from tlf.engine.directory import RunDirectory
from tlf.engine.files import write_json, write_text
from tlf.engine.pages import COMPARISON, add_page
from tlf.engine.prepare import prepare
from tlf.errors import (
    DataError,
    OutputError,
    Problem,
    RunInterrupted,
    SpecError,
    UsageError,
)
from tlf.registry import Registry, load_registry
from tlf.spec import RawSpec, load_raw
from tlf.spec.comparison import base_of, check_comparison, is_comparison
from tlf.spec.paths import resolve_path

__all__ = ["Cell", "Comparison", "Difference", "Gain", "Row", "Watcher", "compare"]

SCHEMA_VERSION = 2

#: What is said where images may have any number of classes.
SUBSET_ACCURACY = (
    "Images may have any number of classes here: rows are ranked and tested by subset accuracy, the "
    "share of images whose classes are named exactly, with none missing and none too many. It is what "
    "`accuracy` means in this comparison; `mean-average-precision` is among the other metrics."
)


@dataclass(frozen=True)
class Group:
    """Rows that are ranked against each other: all with the same data.

    Attributes:
        name: What tells it from the others: `shots 10`; empty if there is but one.
        values: By path, what each axis of the data takes.
        metrics_on: The split that its accuracies are of.
        images_measured: How many images each of them is of.
        advice: What to take of its rows.
    """

    name: str
    values: Mapping[str, Any]
    metrics_on: str
    images_measured: int
    advice: str


@dataclass(frozen=True)
class Comparison:
    """What a comparison has come to.

    Attributes:
        directory: Where its files are.
        name: Of the base spec.
        base: The spec that was varied.
        axes: What was varied.
        seeds: Of each combination.
        metrics_on: The split that accuracies are of, those of the first group.
        images_measured: How many images each of these is of.
        images_decoded: How many times an image was decoded, in all runs together.
        groups: One for each combination of what the user has; mostly a single one.
        rows: One for each combination, in the order asked for.
        differences: Of every pair of rows of a group.
        gains: What rows gain from one group to the next, if numbers tell them apart.
        advice: What to take of it all.
        notes: What a reader should know besides.
        cells: One for each run.
    """

    directory: Path
    name: str
    base: Mapping[str, Any]
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    metrics_on: str
    images_measured: int
    images_decoded: int
    groups: tuple[Group, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    gains: tuple[Gain, ...]
    advice: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def failed(self) -> int:
        """How many runs have failed."""
        return sum(row.failed for row in self.rows)

    def row_of(self, cell: Cell) -> Row:
        """Return the row that a run belongs to.

        Args:
            cell: The run.
        """
        return self.rows[cell.variant]

    def as_json(self) -> dict[str, Any]:
        """Return what `comparison.json` holds."""
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "base": dict(self.base),
            "axes": [axis.as_json() for axis in self.axes],
            "seeds": list(self.seeds),
            "metrics_on": self.metrics_on,
            "images_measured": self.images_measured,
            "images_decoded": self.images_decoded,
            "groups": [asdict(group) for group in self.groups],
            "rows": [asdict(row) for row in self.rows],
            "differences": [asdict(one) for one in self.differences],
            "gains": [one.as_json() for one in self.gains],
            "advice": self.advice,
            "notes": list(self.notes),
            "method": METHOD,
            "runs": [
                {"row": self.row_of(one).name, "group": self.row_of(one).group, **one.as_json()}
                for one in self.cells
            ],
        }

    def as_csv(self) -> str:
        """Return what `comparison.csv` holds: a line for each run."""
        names = sorted({name for cell in self.cells for name in cell.metrics or {}})
        facts = ("total_seconds", "images_through_backbone", "peak_memory_bytes")
        columns = ["row", *(axis.path for axis in self.axes), "seed", *names, *facts]
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow([*columns, "trainable_parameters", "directory", "error"])
        for cell in self.cells:
            row = self.row_of(cell)
            values = [text_of(row.values[axis.path]) for axis in self.axes]
            metrics = [(cell.metrics or {}).get(name) for name in names]
            found = [getattr(cell, fact) for fact in facts]
            last = [cell.trainable_parameters, cell.directory, cell.error]
            table.writerow([row.name, *values, cell.seed, *metrics, *found, *last])
        return text.getvalue()


def compare(  # noqa: PLR0913 - each has a name
    spec: str | Path | Mapping[str, Any],
    strategies: Sequence[str] = (),
    *,
    seeds: int | None = None,
    shots: Sequence[int] = (),
    jobs: int = 1,
    time_limit: float | None = None,
    resume: str | Path | None = None,
    overrides: Sequence[str] = (),
    output_directory: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Comparison:
    """Run a spec once for each combination and seed. A run that fails is a row with its reason.

    Args:
        spec: A JSON file, or the same as a mapping: a run's spec, or a comparison's with `base` and
            `grid`.
        strategies: Names of strategies to compare. The spec's own options are used for the one it
            names, and default options for the others.
        seeds: How many seeds, from the spec's own on; by default what a comparison's spec says, or 1.
        shots: Numbers of training images of each class, for a learning curve. The data source must
            have the option `shots`.
        jobs: How many runs at once, each in a process of its own with its share of the cores.
        time_limit: Seconds within which runs should end: none is begun that took longer than what is
            left when it had another seed.
        resume: Directory of an earlier comparison. Runs in it that were made with the same spec are
            taken as they are; the others are added.
        overrides: Fields of the base to change, each `path.to.field=value`.
        output_directory: Folder for the comparison, which must not exist.
        watcher: Hears about the runs.

    Raises:
        TlfError: The spec or a name in it is wrong, or nothing can be written.
    """
    _check_numbers(seeds=seeds, jobs=jobs, shots=shots)
    raw = load_raw(spec)
    axes, count = [], seeds or 1
    if is_comparison(raw):
        found = check_comparison(raw)
        base_raw = _read_base(base_of(found, raw), raw, overrides)
        axes = [Axis(path, tuple(values)) for path, values in found.grid.items()]
        count = seeds or found.seeds
    else:
        # What standard input has given is not read again.
        base_raw = _read_base(raw.values, raw, overrides)
    axes = [*_named_axes(strategies, shots), *axes]
    if not axes:
        hint = "name `strategies`, say, or write a comparison with `base` and `grid`"
        raise SpecError([Problem("", "there is nothing to compare", hint)], source=raw.source)
    registry = load_registry()
    grid = make_grid(base_raw, axes, count, registry)
    comparer = _Comparer(grid, base_raw, registry, watcher or Watcher())
    comparer.plan()
    clock = Clock(time_limit)
    if resume is not None:
        return comparer.carry_on(_existing(Path(resume)), jobs, clock)
    checked = grid.variants[0].spec
    output = resolve_path(base_raw.folder, checked.output, "output")
    with RunDirectory(output, f"{checked.name}-comparison", output_directory) as directory:
        directory.write_text("spec.json", raw.text if is_comparison(raw) else base_raw.text)
        folder = directory.publish()
        try:
            return comparer.carry_on(folder, jobs, clock)
        except DataError:
            # All runs have the same images: where the first one cannot read them, there is nothing to
            # compare, and nothing to keep.
            if not comparer.results.cells:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _check_numbers(*, seeds: int | None, jobs: int, shots: Sequence[int]) -> None:
    wanted = {"seeds": [] if seeds is None else [seeds], "jobs": [jobs], "shots": shots}
    for name, numbers in wanted.items():
        wrong = [number for number in numbers if type(number) is not int or number < 1]
        if wrong:
            raise UsageError(f"`{name}` must be a whole number, at least 1, not `{wrong[0]!r}`")


def _read_base(base: str | Mapping[str, Any], raw: RawSpec, overrides: Sequence[str]) -> RawSpec:
    """Return the spec that is varied; one within a file has that file's folder and source."""
    found = load_raw(base, overrides)
    if isinstance(base, str):
        return found
    text = found.text if overrides or is_comparison(raw) else raw.text
    return RawSpec(found.values, raw.folder, raw.source, text)


def _named_axes(strategies: Sequence[str], shots: Sequence[int]) -> list[Axis]:
    if isinstance(strategies, str):
        raise SpecError([Problem("strategies", f"`{strategies}` is no list of names")])
    axes = []
    if strategies:
        axes.append(Axis("strategy", tuple(strategies)))
    if shots:
        axes.append(Axis(f"{GIVEN}.options.{SHOTS}", tuple(shots)))
    return axes


def _existing(folder: Path) -> Path:
    if not (folder / COMPARISON).is_file():
        raise OutputError(
            f"`{folder}` is no comparison: it has no `{COMPARISON}`",
            hint="give `--resume` the directory that `tlf compare` has printed",
        )
    return folder


class _Comparer:
    """Carries out the runs of a comparison; the cache lets them share what they compute."""

    def __init__(self, grid: Grid, base: RawSpec, registry: Registry, watcher: Watcher) -> None:
        self.results = Results(grid)
        self._grid = grid
        self._base = base
        self._registry = registry
        self._watcher = watcher
        self._metrics_on: list[str] = []
        self._tasks: set[str] = set()

    def plan(self) -> None:
        """Plan every combination, so that what is wrong is found before anything runs."""
        problems: list[Problem] = []
        for variant in self._grid.variants:
            try:
                job = prepare(variant.spec, variant.raw.folder, self._registry)
            except SpecError as error:
                problems += error.problems
            else:
                self._metrics_on.append(job.plan.metrics_on)
                self._tasks.add(job.plan.task)
        if problems:
            raise SpecError(dict.fromkeys(problems), source=self._base.source)

    def carry_on(self, folder: Path, jobs: int, clock: Clock) -> Comparison:
        """Carry out what is not there yet, writing the results after every run.

        Args:
            folder: The comparison's directory.
            jobs: How many runs at once.
            clock: Says when there is no time for more.
        """
        planned = list(self._grid.cells())
        rows = [_full_name(self._grid, index) for index in range(len(self._grid.variants))]
        self._watcher.compared(rows, len(planned), folder)
        done = set()
        for cell, right in find_finished(folder, planned):
            done.add((cell.variant, cell.seed))
            self._watcher.finished(self._add(cell, right, clock))
        self._write(folder)
        left = [one for one in planned if (one.variant, one.seed) not in done]
        try:
            for cell in carry_out(
                left,
                folder,
                jobs=jobs,
                clock=clock,
                watcher=self._watcher,
                same_data=not any(axis.is_given for axis in self._grid.axes),
            ):
                ran = None if cell.directory is None else read_outcomes(folder / cell.directory)
                added = self._add(cell, ran, clock)
                self._write(folder)
                self._watcher.finished(added)
        except (RunInterrupted, KeyboardInterrupt) as error:
            raise RunInterrupted(
                f"stopped after {len(self.results.cells)} of {len(planned)} runs",
                hint=f"the runs so far are kept in `{folder}`; `--resume` goes on there",
            ) from error
        comparison = self._write(folder)
        add_page(folder, self._watcher.warning)
        return comparison

    def _add(self, cell: Cell, right: Mapping[str, bool] | None, clock: Clock) -> Cell:
        if right is not None:
            # Whatever metrics the spec asks for: accuracy is what rows are compared by.
            metrics = {"accuracy": fmean(right.values()), **(cell.metrics or {})}
            cell = replace(cell, metrics=metrics)
        self.results.add(cell, right)
        clock.finished(cell)
        return cell

    def _write(self, folder: Path) -> Comparison:
        comparison = self._comparison(folder)
        write_json(folder / COMPARISON, comparison.as_json())
        write_text(folder / "comparison.csv", comparison.as_csv())
        return comparison

    def _comparison(self, folder: Path) -> Comparison:
        results, grid = self.results, self._grid
        differences = results.differences()
        rows = results.rows(differences)
        groups = [self._group(number, rows, differences) for number in range(len(grid.groups))]
        gains = results.gains()
        order = {(one.variant, one.seed): number for number, one in enumerate(grid.cells())}
        return Comparison(
            directory=folder,
            name=self._grid.variants[0].spec.name,
            base=self._base.values,
            axes=grid.axes,
            seeds=grid.seeds,
            metrics_on=groups[0].metrics_on,
            images_measured=groups[0].images_measured,
            images_decoded=sum(cell.images_decoded for cell in results.cells),
            groups=tuple(groups),
            rows=tuple(rows),
            differences=tuple(differences),
            gains=tuple(gains),
            advice=self._advice(groups, rows, gains),
            notes=(*results.notes(), *([SUBSET_ACCURACY] if "multi-label" in self._tasks else [])),
            cells=tuple(sorted(results.cells, key=lambda cell: order[cell.variant, cell.seed])),
        )

    def _group(self, number: int, rows: Sequence[Row], differences: Sequence[Difference]) -> Group:
        variants = self._grid.of_group(number)
        images = max(
            (cell.images_measured for cell in self.results.cells if cell.variant in variants),
            default=0,
        )
        members = [rows[index] for index in variants]
        found = [one for one in differences if one.group == number]
        given = [axis.path for axis in self._grid.axes if axis.is_given]
        return Group(
            name=self._grid.groups[number],
            values={path: members[0].values[path] for path in given},
            metrics_on=self._metrics_on[variants[0]],
            images_measured=images,
            advice=advise(members, found, images),
        )

    def _advice(self, groups: Sequence[Group], rows: Sequence[Row], gains: Sequence[Gain]) -> str:
        axis = self.results.learning_axis()
        if axis is None:
            single = len(groups) == 1
            return " ".join(
                group.advice if single else f"With {group.name}: {group.advice}" for group in groups
            )
        most = max(range(len(groups)), key=lambda number: axis.values[number])
        members = [row for row in rows if row.group == most]
        labels = advise_on_labels(gains, members, axis.label)
        if len(members) == 1:
            return labels or groups[most].advice
        said = f"With {groups[most].name}: {groups[most].advice}"
        return said if labels is None else f"{said} {labels}"


def _full_name(grid: Grid, index: int) -> str:
    variant = grid.variants[index]
    return ", ".join(filter(None, (variant.name, grid.groups[variant.group])))
