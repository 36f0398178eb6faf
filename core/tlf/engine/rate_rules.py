"""What a range test's curve says: which learning rate to take of it, and whether it says anything.

Pure: a curve goes in, numbers come out. Everything is done on the logarithm of the rate, for that is
how rates were tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

#: How a test ended: it tried every rate, the loss had risen too far, or was no number any more.
Ending = Literal["complete", "diverged", "not finite"]

#: Width of the smoothing, the standard deviation of its bell, in decades of the rate: about as far as
#: the moving averages of an optimizer look back.
SMOOTHING_DECADES = 0.2
#: Share of the rates, the lowest, whose mean loss is where a curve begins.
BEGINNING = 0.1
#: A test is over when the smoothed loss has risen to so many times of where it began.
DIVERGED = 3.0
#: A curve is flat if it falls by less than this share of where it began, or than chance alone lets it.
LEAST_FALL = 0.05
#: From how many losses at least the noise is known.
FEWEST = 10
#: How many standard errors of the smoothed curve chance is allowed: of flat curves, about one in a
#: hundred falls by more, for the lowest of many places is looked at.
STANDARD_ERRORS = 3.5
#: How far below the rate at the lowest loss, or at which all is lost again, a rate has to stay.
MARGIN = 10.0
#: Repeats whose rates are further apart than this factor are no measurement.
WILD = 10.0


@dataclass(frozen=True)
class Curve:
    """What one range test saw: a training loss for each learning rate.

    Attributes:
        rates: Learning rates, rising, each for one step of the optimizer.
        losses: Mean training loss of the images of that step, before it was taken. All are finite.
        ending: How the test ended.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    ending: Ending = "complete"


@dataclass(frozen=True)
class Reading:
    """What a curve says.

    Attributes:
        smoothed: The curve, smoothed.
        begin: The loss where the curve begins.
        is_flat: Whether the loss falls by no more than chance: there is nothing to choose then.
        steepest: The rate at which the loss falls most steeply; None if the curve is flat.
        lowest: The rate at which the loss is lowest; None if the curve is flat.
        limit: The first rate, beyond the lowest loss, at which the loss is above where it began by more
            than chance, or the one at which it was no number any more. None if it came to neither.
    """

    smoothed: tuple[float, ...]
    begin: float
    is_flat: bool
    steepest: float | None
    lowest: float | None
    limit: float | None


def geometric(lowest: float, highest: float, count: int) -> tuple[float, ...]:
    """Return rates that rise by the same factor from each to the next.

    Args:
        lowest: The first.
        highest: The last.
        count: How many, at least 2.
    """
    ratio = log(highest / lowest) / (count - 1)
    return (*(lowest * exp(ratio * number) for number in range(count - 1)), highest)


def read(curve: Curve) -> Reading:
    """Return what a curve says.

    Args:
        curve: Of at least one rate.
    """
    count = len(curve.losses)
    first = losses_begin(count)
    begin = float(np.mean(curve.losses[:first]))
    # What has exploded would be seen far to the left of where it did.
    losses = np.minimum(np.asarray(curve.losses, dtype=np.float64), DIVERGED * begin)
    width = _width(curve.rates)
    smooth = smoothed(losses, width)
    lowest = int(np.argmin(smooth))
    fall = begin - smooth[lowest]
    # From one loss to the next: what is left over beside a smooth curve that was fitted to it is less.
    steps = np.diff(losses[: max(lowest + 1, FEWEST)])
    noise = float(np.sqrt(np.mean(np.square(steps)) / 2)) if len(steps) else 0.0
    # As many losses as a bell of this width has under it go into each smoothed one.
    error = noise * sqrt(1 / first + 1 / max(1.0, 2 * sqrt(np.pi) * width))
    least = max(LEAST_FALL * begin, STANDARD_ERRORS * error)
    is_flat = lowest == 0 or bool(fall < least)
    slopes = np.gradient(smooth)[: lowest + 1] if count > 1 else np.zeros(1)
    return Reading(
        smoothed=tuple(smooth.tolist()),
        begin=begin,
        is_flat=is_flat,
        steepest=None if is_flat else curve.rates[int(np.argmin(slopes))],
        lowest=None if is_flat else curve.rates[lowest],
        limit=_limit(curve, smooth, lowest, begin + least),
    )


def losses_begin(count: int) -> int:
    """Return how many of the first losses of a test are where it begins.

    Args:
        count: How many rates the test has.
    """
    return max(3, round(BEGINNING * count))


def smoothed(losses: npt.NDArray[np.float64], width: float) -> npt.NDArray[np.float64]:
    """Return a curve, each value replaced by the mean of those around it, weighted by a bell.

    To both sides alike: a moving average of what lies behind would show everything at too high a rate.

    Args:
        losses: The values.
        width: Standard deviation of the bell, in places.
    """
    places = np.arange(len(losses))
    weights = np.exp(-0.5 * ((places[:, None] - places[None, :]) / width) ** 2)
    found: npt.NDArray[np.float64] = weights @ losses / weights.sum(axis=1)
    return found


def _width(rates: Sequence[float]) -> float:
    if len(rates) < 2:
        return 1.0
    return max(1.0, SMOOTHING_DECADES * log(10) / log(rates[1] / rates[0]))


def _limit(
    curve: Curve, smooth: npt.NDArray[np.float64], lowest: int, height: float
) -> float | None:
    """Return the first rate, beyond the lowest loss, at which the loss is above some height."""
    above = np.flatnonzero(smooth[lowest:] > height)
    if len(above):
        return curve.rates[lowest + int(above[0])]
    return curve.rates[-1] if curve.ending == "not finite" else None


def pick_rate(reading: Reading) -> float | None:
    """Return the rate to take of a curve; None if it is flat.

    It lies midway, on a logarithmic scale, between the rate at which the loss falls most steeply and
    the one at which it is lowest: above the first, where a test, which takes only a few steps at each
    rate, still has most of the way before it, and below the second, where it gains nothing any more.
    But it stays a decade below the limit. Beside a grid of rates that were all tried, the usual two
    rules, the steepest fall and a tenth of the lowest loss, were both too low, the second more so; the
    figures are in `docs/tuning.md`.

    Args:
        reading: What the curve says.
    """
    if reading.steepest is None or reading.lowest is None:
        return None
    midway = sqrt(reading.steepest * reading.lowest)
    return midway if reading.limit is None else min(midway, reading.limit / MARGIN)
