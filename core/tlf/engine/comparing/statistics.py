"""How sure a mean over seeds and images is, and whether two rows of a comparison differ.

Both are samples: another seed would have trained another network, and other images would have been
measured. The model is the crossed one of random effects: what a run of seed s says of image i is a
mean, plus an effect of the seed, plus one of the image, plus the rest. The variance of the mean over S
seeds and N images is then estimated from the mean squares of the two-way analysis of variance as
(MS_seed + MS_image - MS_rest) / (S N), with degrees of freedom after Satterthwaite (1946). It is the
model of studies in which several readers judge the same cases (Dorfman, Berbaum, Metz, 1992).

Two rows are compared by their differences, seed by seed and image by image: that both saw the same
images takes the images' own difficulty out. All pairs of several rows are many tests, so the p values
are adjusted, after Holm (1979) and Shaffer (1986): the chance of even one false call is at most the
level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05

#: What runs say of images, one value each: `(S, N)`, a row a seed, a column an image.
Outcomes = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean, and how sure it is.

    Attributes:
        mean: Over seeds and images.
        low: Lower end of its 95% interval.
        high: Upper end.
        standard_error: Of the mean.
        degrees_of_freedom: Of the standard error, at least 1.
    """

    mean: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float


@dataclass(frozen=True)
class Verdict:
    """What can be said of a difference.

    Attributes:
        estimate: Of its mean, by itself.
        p_value: That one as large comes by chance, adjusted for all that are looked at together.
    """

    estimate: Estimate
    p_value: float

    @property
    def is_real(self) -> bool:
        """Whether it is more than chance."""
        return self.p_value < LEVEL


@dataclass(frozen=True)
class _Squares:
    """Mean squares of a two-way analysis of variance of `(S, N)` outcomes."""

    of_seeds: float
    of_images: float
    of_rest: float
    seeds: int
    images: int

    @property
    def total(self) -> float:
        """The variance of the mean, times `S N`."""
        # Where chance makes it less than what one kind of effect alone would give, that counts.
        estimated = self.of_seeds + self.of_images - self.of_rest
        return max(estimated, self.of_seeds, self.of_images)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the total, after Satterthwaite; at least 1."""
        free = (self.seeds - 1, self.images - 1, (self.seeds - 1) * (self.images - 1))
        squares = (self.of_seeds, self.of_images, self.of_rest)
        if self.total == 0:
            return float(free[2])
        return max(
            1.0, self.total**2 / sum(one**2 / of for one, of in zip(squares, free, strict=True))
        )


def estimate(outcomes: Outcomes) -> Estimate:
    """Return the mean of outcomes, with an interval that speaks of seeds and of images.

    With one seed it can speak of the images only, with one image of the seeds only.

    Args:
        outcomes: `(S, N)`, finite.

    Raises:
        ValueError: There is but a single value, or none.
    """
    return _estimate(outcomes, math.inf)


def _estimate(outcomes: Outcomes, most_free: float) -> Estimate:
    """Return an estimate with at most so many degrees of freedom."""
    seeds, images = outcomes.shape
    if seeds * images < 2:
        raise ValueError(f"nothing can be said of {seeds * images} outcomes")
    mean = float(outcomes.mean())
    if 1 in (seeds, images):
        variance, freedom = float(outcomes.var(ddof=1)), seeds * images - 1.0
    else:
        squares = _squares(outcomes)
        variance, freedom = squares.total, min(squares.freedom, most_free)
    error = math.sqrt(variance / (seeds * images))
    half = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error
    return Estimate(mean, mean - half, mean + half, error, freedom)


def _squares(outcomes: Outcomes) -> _Squares:
    seeds, images = outcomes.shape
    mean = outcomes.mean()
    of_seeds = outcomes.mean(1, keepdims=True) - mean
    of_images = outcomes.mean(0, keepdims=True) - mean
    rest = outcomes - mean - of_seeds - of_images
    return _Squares(
        images * float((of_seeds**2).sum()) / (seeds - 1),
        seeds * float((of_images**2).sum()) / (images - 1),
        float((rest**2).sum()) / ((seeds - 1) * (images - 1)),
        seeds,
        images,
    )


def _most_free(differences: Sequence[Outcomes]) -> float:
    """Return how many degrees of freedom differences have at most, by what all say together.

    Few seeds may agree by chance. A difference then looks surer than it is, and its degrees of freedom,
    which follow from the same squares, let it: with three seeds that differ by two points, one family
    of six pairs in eleven had a false call. All together have seen more of how far seeds go apart.
    """
    found = [_squares(one) for one in differences]
    return _Squares(
        fmean(one.of_seeds for one in found),
        fmean(one.of_images for one in found),
        fmean(one.of_rest for one in found),
        found[0].seeds,
        found[0].images,
    ).freedom


def judge(differences: Sequence[Outcomes], *, rows: int | None = None) -> list[Verdict]:
    """Return what can be said of differences that are looked at together.

    Args:
        differences: Of each pair the outcomes of the one minus those of the other, `(S, N)`: seed by
            seed and image by image.
        rows: How many rows the differences are all pairs of, if they are: then fewer of them can be
            without any difference at once, and more is found.
    """
    shapes = {one.shape for one in differences if 1 not in one.shape}
    # A pair that lacks a seed says something else of how far seeds go apart.
    most_free = {
        shape: _most_free([one for one in differences if one.shape == shape]) for shape in shapes
    }
    estimates = [_estimate(one, most_free.get(one.shape, math.inf)) for one in differences]
    p_values = [_p_value(*pair) for pair in zip(estimates, differences, strict=True)]
    adjusted = adjust(p_values, rows=rows)
    return [Verdict(*pair) for pair in zip(estimates, adjusted, strict=True)]


def _p_value(found: Estimate, difference: Outcomes) -> float:
    if found.mean == 0:
        return 1.0
    if found.standard_error == 0:
        # All say the same: a sign test, over images if there are several and else over seeds.
        seeds, images = difference.shape
        return float(2.0 ** (1 - (images if images > 1 else seeds)))
    distance = abs(found.mean) / found.standard_error
    return float(2 * stats.t.sf(distance, found.degrees_of_freedom))


def adjust(p_values: Sequence[float], *, rows: int | None = None) -> list[float]:
    """Return p values of several tests, adjusted so that they can be compared with the level.

    Holm multiplies the smallest by the number of tests, the next by one less, and so on: by how many
    hypotheses can still be true. Shaffer counts those closer. Of the pairs of four rows, once one is
    different, at most three can be equal and not five.

    Args:
        p_values: Of each test by itself.
        rows: How many rows the tests are all pairs of; None if they are others.
    """
    count = len(p_values)
    possible = (
        set(range(count + 1)) if rows is None or math.comb(rows, 2) != count else _equal(rows)
    )
    adjusted = [0.0] * count
    largest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        factor = max(number for number in possible if number <= count - rank)
        largest = max(largest, min(1.0, factor * p_values[index]))
        adjusted[index] = largest
    return adjusted


@cache
def _equal(rows: int) -> frozenset[int]:
    """Return how many pairs of rows can be equal at once: rows fall into groups of equal ones."""
    if rows < 2:
        return frozenset({0})
    sizes = range(1, rows + 1)
    return frozenset(math.comb(size, 2) + rest for size in sizes for rest in _equal(rows - size))


def ranks(names: Iterable[str], better: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the rank of each row: 1, and 1 more for each that is really better.

    So two that cannot be told apart from any better one share the first rank, whatever their means are.

    Args:
        names: Of the rows.
        better: Of each difference that is real, the better row and the other.
    """
    found = dict.fromkeys(names, 1)
    for _, worse in better:
        found[worse] += 1
    return found
