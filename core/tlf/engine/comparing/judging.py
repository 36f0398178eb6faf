"""What can be said of the runs of a comparison: rows, ranks, differences, learning curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

import numpy as np

from tlf.engine.comparing.cells import Cell
from tlf.engine.comparing.grid import Axis, Grid
from tlf.engine.comparing.statistics import LEVEL, Outcomes, estimate, judge, ranks
from tlf.engine.metrics import accuracy_interval

METHOD = (
    "Accuracy is the mean over seeds and images, and both are samples: the intervals (95%) and tests "
    "come from a two-way analysis of variance with random effects of seeds and of images, degrees of "
    "freedom after Satterthwaite. Rows are compared by their differences on the same images with the "
    "same seeds; the p values of all pairs are adjusted after Holm and Shaffer, so that the chance of "
    "even one false call is at most 5%. The rank of a row is 1, and 1 more for each row that is really "
    "better."
)
#: What a data source's option is called that says how many images of each class are labelled.
SHOTS = "shots"
#: What is said where there is a single seed.
ONE_SEED = (
    "With one seed the intervals speak of the images alone: another seed would move every accuracy, "
    "and what differs here may not differ there."
)


@dataclass(frozen=True)
class Row:
    """What the runs of one combination came to.

    Attributes:
        name: What it is called within its group.
        values: By path, what each axis takes.
        group: Number of its group.
        rank: 1, and 1 more for each row of the group that is really better; None if no run finished, or
            none that another row can be compared with.
        seeds: Seeds of the runs that finished.
        failed: How many runs failed.
        not_run: How many are not there yet.
        accuracy: Mean over the seeds, in [0, 1]; None if no run finished.
        interval: 95% interval of that mean, over seeds and images that might have been drawn.
        metrics: Means over the seeds by name.
        seconds: Mean over the seeds. What an earlier run has left in the cache is not computed again.
        images_through_backbone: Mean over the seeds.
        peak_memory_bytes: The most of any seed.
        trainable_parameters: The most that any step trains.
    """

    name: str
    values: Mapping[str, Any]
    group: int
    rank: int | None
    seeds: tuple[int, ...]
    failed: int
    not_run: int
    accuracy: float | None
    interval: tuple[float, float] | None
    metrics: Mapping[str, float]
    seconds: float | None
    images_through_backbone: float | None
    peak_memory_bytes: int | None
    trainable_parameters: int | None


@dataclass(frozen=True)
class Difference:
    """Two rows of one group beside each other.

    Attributes:
        first: Name of the one.
        second: Name of the other.
        group: Number of their group.
        difference: Accuracy of the one minus accuracy of the other, over the seeds that both have.
        interval: Its 95% interval, by itself.
        p_value: That one as large comes by chance, adjusted for all pairs of the group.
        is_real: Whether the two can be told apart.
    """

    first: str
    second: str
    group: int
    difference: float
    interval: tuple[float, float]
    p_value: float
    is_real: bool

    @property
    def visible(self) -> float:
        """Half of the interval: a smaller difference cannot be seen with these images and seeds."""
        return (self.interval[1] - self.interval[0]) / 2

    def better_and_worse(self) -> tuple[str, str]:
        """Return the names of the two, the one with the higher accuracy first."""
        pair = (self.first, self.second)
        return pair if self.difference > 0 else pair[::-1]


@dataclass(frozen=True)
class Gain:
    """What a row gains from one group to the next: from more labels, say.

    Attributes:
        row: What it is called in both.
        before: Name of the one group's value.
        after: Name of the other's.
        difference: Accuracy after minus before.
        interval: Its 95% interval, by itself.
        p_value: Adjusted for all gains of the comparison.
        is_real: Whether it is more than chance.
    """

    row: str
    before: str
    after: str
    difference: float
    interval: tuple[float, float]
    p_value: float
    is_real: bool

    def as_json(self) -> dict[str, Any]:
        """Return what `comparison.json` holds of it."""
        values = asdict(self)
        return {"from": values.pop("before"), "to": values.pop("after"), **values}


@dataclass
class Results:
    """The runs that are there, by what they got right.

    Attributes:
        grid: What is compared.
        cells: The runs so far.
        outcomes: Of each finished run, by variant and seed, the images it got right, by id.
    """

    grid: Grid
    cells: list[Cell] = field(default_factory=list)
    outcomes: dict[tuple[int, int], Mapping[str, bool]] = field(default_factory=dict)
    _images: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)

    def add(self, cell: Cell, right: Mapping[str, bool] | None) -> None:
        """Add a run.

        Args:
            cell: What came of it.
            right: Which images it got right, by id; None if it failed.
        """
        self.cells.append(cell)
        if right is not None:
            self.outcomes[cell.variant, cell.seed] = right
            self._images[cell.variant, cell.seed] = tuple(right)

    def rows(self, differences: Sequence[Difference]) -> list[Row]:
        """Return a row for each combination, in the order of the grid.

        Args:
            differences: Of the pairs of all groups.
        """
        found = [self._row(index) for index in range(len(self.grid.variants))]
        for group in range(len(self.grid.groups)):
            of_group = [one for one in differences if one.group == group]
            compared = {name for one in of_group for name in (one.first, one.second)}
            finished = [
                row.name for row in found if row.group == group and row.accuracy is not None
            ]
            # A row that shares no run with another cannot be ranked, unless it is alone.
            names = finished if len(finished) == 1 else [one for one in finished if one in compared]
            ranked = ranks(names, [one.better_and_worse() for one in of_group if one.is_real])
            found = [
                replace(row, rank=ranked.get(row.name)) if row.group == group else row
                for row in found
            ]
        return found

    def differences(self) -> list[Difference]:
        """Return every pair of rows of a group that have a seed and all images in common."""
        return [
            one for group in range(len(self.grid.groups)) for one in self._differences_of(group)
        ]

    def _differences_of(self, group: int) -> list[Difference]:
        pairs = []
        finished = {variant for variant, _ in self.outcomes}
        members = [one for one in self.grid.of_group(group) if one in finished]
        for one, other in combinations(members, 2):
            outcomes = self._difference(one, other)
            if outcomes is not None:
                pairs.append((one, other, outcomes))
        judged = _told([outcomes for _, _, outcomes in pairs], rows=len(members))
        variants = self.grid.variants
        return [
            Difference(variants[one].name, variants[other].name, group, *told)
            for (one, other, _), told in zip(pairs, judged, strict=True)
        ]

    def gains(self) -> list[Gain]:
        """Return what rows gain from one group to the next, where they differ in labels alone."""
        axis = self.learning_axis()
        if axis is None:
            return []
        found = []
        by_name = {(one.name, one.group): index for index, one in enumerate(self.grid.variants)}
        order = sorted(range(len(axis.values)), key=lambda group: axis.values[group])
        for name in dict.fromkeys(one.name for one in self.grid.variants):
            for before, after in pairwise(order):
                outcomes = self._difference(by_name[name, after], by_name[name, before])
                if outcomes is not None:
                    texts = (str(axis.values[before]), str(axis.values[after]))
                    found.append((name, *texts, outcomes))
        judged = _told([outcomes for _, _, _, outcomes in found])
        return [
            Gain(name, before, after, *told)
            for (name, before, after, _), told in zip(found, judged, strict=True)
        ]

    def learning_axis(self) -> Axis | None:
        """Return the axis of a learning curve: numbers of labels, and nothing else of the data."""
        given = [axis for axis in self.grid.axes if axis.is_given]
        if len(given) != 1 or given[0].label != SHOTS or len(given[0].values) < 2:
            return None
        numbers = all(type(value) is int for value in given[0].values)
        return given[0] if numbers else None

    def notes(self) -> Iterator[str]:
        """Yield what a reader should know besides."""
        grid = self.grid
        counts = [len(self._seeds(index)) for index in range(len(grid.variants))]
        if max(counts, default=0) == 1:
            yield ONE_SEED
        wanted = len(grid.variants) * len(grid.seeds)
        if wanted > len(self.cells):
            yield (
                f"{wanted - len(self.cells)} of {wanted} runs are not there yet; `--resume` carries "
                "them out"
            )
        others = len(self.outcomes) - sum(counts)
        if others:
            yield (
                f"{others} of {len(self.outcomes)} runs were measured on other images than the first "
                "of their row, and are left out"
            )
        for group, name in enumerate(grid.groups):
            sets = {self._images[index, seed] for index in grid.of_group(group)
                    for seed in self._seeds(index)}  # fmt: skip
            if len(sets) > 1:
                where = f"with {name}, " if name else ""
                yield f"{where}not all rows were measured on the same images; only those are compared"

    def _seeds(self, variant: int) -> list[int]:
        """Return the seeds of the runs of a row, all on the same images, in order."""
        seeds = [seed for seed in self.grid.seeds if (variant, seed) in self.outcomes]
        return [
            one for one in seeds if self._images[variant, one] == self._images[variant, seeds[0]]
        ]

    def _matrix(self, variant: int, seeds: Sequence[int]) -> Outcomes:
        """Return what a combination got right, `(S, N)`: a row a seed, a column an image."""
        rows = [list(self.outcomes[variant, seed].values()) for seed in seeds]
        return np.array(rows, dtype=np.float64)

    def _difference(self, one: int, other: int) -> Outcomes | None:
        """Return the outcomes of the one minus the other, or None if too little is common to them."""
        others = self._seeds(other)
        seeds = [seed for seed in self._seeds(one) if seed in others]
        if not seeds or self._images[one, seeds[0]] != self._images[other, seeds[0]]:
            return None
        difference = self._matrix(one, seeds) - self._matrix(other, seeds)
        return difference if difference.size > 1 else None

    def _row(self, index: int) -> Row:
        variant = self.grid.variants[index]
        cells = [cell for cell in self.cells if cell.variant == index]
        seeds = tuple(self._seeds(index))
        by_seed = {cell.seed: cell for cell in cells}
        finished = [by_seed[seed] for seed in seeds]
        mean, interval = self._accuracy(index, seeds) if seeds else (None, None)
        measured = [cell.metrics or {} for cell in finished]
        # Runs of another version, which are kept by `--resume`, may have others.
        names = (
            [name for name in measured[0] if all(name in one for one in measured)]
            if measured
            else []
        )
        return Row(
            name=variant.name,
            values=variant.values,
            group=variant.group,
            rank=None,
            seeds=seeds,
            failed=sum(cell.error is not None for cell in cells),
            not_run=len(self.grid.seeds) - len(cells),
            accuracy=mean,
            interval=interval,
            metrics={name: fmean(one[name] for one in measured) for name in names},
            seconds=_mean([cell.total_seconds for cell in finished]),
            images_through_backbone=_mean([cell.images_through_backbone for cell in finished]),
            peak_memory_bytes=max((cell.peak_memory_bytes or 0 for cell in finished), default=None),
            trainable_parameters=max(
                (cell.trainable_parameters or 0 for cell in finished), default=None
            ),
        )

    def _accuracy(self, variant: int, seeds: Sequence[int]) -> tuple[float, tuple[float, float]]:
        outcomes = self._matrix(variant, seeds)
        mean = float(outcomes.mean())
        if len(seeds) == 1 or outcomes.min() == outcomes.max():
            # Where nothing varies, an analysis of variance would say that all is known.
            return mean, accuracy_interval(mean, outcomes.shape[1])
        found = estimate(outcomes)
        return mean, (max(0.0, found.low), min(1.0, found.high))


def _told(
    differences: Sequence[Outcomes], rows: int | None = None
) -> list[tuple[float, tuple[float, float], float, bool]]:
    """Return of each difference its mean, interval, p value, and whether it is real."""
    told = []
    for outcomes, verdict in zip(differences, judge(differences, rows=rows), strict=True):
        found = verdict.estimate
        low, high = found.low, found.high
        if found.standard_error == 0:
            # Where nothing varies, an analysis of variance would say that all is known. That none of N
            # images is another one leaves room for so many of all (the "rule of three").
            room = 1 - LEVEL ** (1 / outcomes.shape[1])
            low, high = max(-1.0, low - room), min(1.0, high + room)
        told.append((found.mean, (low, high), verdict.p_value, verdict.is_real))
    return told


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
