"""What two runs of one spec differ in, number by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch

from tlf.engine.reproducing.results import Results

#: Numbers this close, relative to their size, or weights and probabilities that are this close, may
#: differ by no more than the order of additions.
ROUNDING = 1e-4

#: Stands for a line that one of the two does not have.
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class FirstDifference:
    """The first number of `metrics.jsonl` that is another one.

    Attributes:
        line: Which line, from 1.
        step: The step of the plan that it is of.
        epoch: Epochs of the whole run that were done by then.
        field: Which number of that line: `train.loss`, say.
        then: What it was; None if there was none.
        now: What it is; None if there is none.
    """

    line: int
    step: str
    epoch: int
    field: str
    then: Any
    now: Any

    @property
    def size(self) -> float | None:
        """How far the two are apart; None if they are no numbers."""
        if isinstance(self.then, int | float) and isinstance(self.now, int | float):
            return abs(float(self.now) - float(self.then))
        return None

    @property
    def is_rounding(self) -> bool:
        """Whether it is as small as another order of additions makes it."""
        return self.size is not None and self.size <= ROUNDING * max(abs(self.then), abs(self.now))


@dataclass(frozen=True)
class StageDifference:
    """Tensors of a stage that are others.

    Attributes:
        stage: Its name.
        frozen: Whether they were frozen in every step.
        tensors: How many of them differ.
        largest: The largest difference of two numbers; None if shapes or names differ.
    """

    stage: str
    frozen: bool
    tensors: int
    largest: float | None

    @property
    def is_rounding(self) -> bool:
        """Whether it is as small as another order of additions makes it."""
        return self.largest is not None and self.largest <= ROUNDING


@dataclass(frozen=True)
class PredictionsDifference:
    """What the two say about the images that were reported.

    Attributes:
        images: How many there are in either.
        other_class: How many of them are taken for another class, or are in one of the two only.
        other_numbers: How many have any number that differs.
        largest: The largest difference of two probabilities.
    """

    images: int
    other_class: int
    other_numbers: int
    largest: float

    @property
    def is_rounding(self) -> bool:
        """Whether it is as small as another order of additions makes it."""
        return self.other_class == 0 and self.largest <= ROUNDING


def first_difference(
    then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> FirstDifference | None:
    """Return the first number that differs in two lists of lines; None if none does.

    Args:
        then: The lines of the run.
        now: Those of the run that was made of it.
    """
    pairs: Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]
    pairs = zip_longest(then, now, fillvalue=_NOTHING)
    for number, (before, after) in enumerate(pairs, start=1):
        found = next(differing_values(before, after), None)
        if found is not None:
            line = before or after
            return FirstDifference(number, line["step"], line["epoch"], *found)
    return None


def differing_lines(then: Sequence[object], now: Sequence[object]) -> int:
    """Return how many lines are not the same.

    Args:
        then: The lines of the run.
        now: Those of the run that was made of it.
    """
    return sum(before != after for before, after in zip_longest(then, now))


def differing_values(
    then: object, now: object, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, old and new value of each value that differs, in order.

    Args:
        then: Plain data.
        now: Plain data.
        path: Where they stand.
    """
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        then, now = (dict(enumerate(one)) for one in (then, now))
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*then, *now)):
            values = then.get(name), now.get(name)
            yield from differing_values(*values, (*path, str(name)))
    elif then != now:
        yield ".".join(path), then, now


def weight_differences(
    then: Mapping[str, torch.Tensor],
    now: Mapping[str, torch.Tensor],
    groups: Mapping[str, str],
    frozen: frozenset[str],
) -> tuple[StageDifference, ...]:
    """Return in which stages tensors differ: what was frozen by itself.

    Args:
        then: Tensors of the run, by name.
        now: Those of the run that was made of it.
        groups: The group, `stage:kind`, of each tensor; what has none is the head's.
        frozen: Groups that were frozen in every step.
    """
    found: dict[tuple[str, bool], list[float | None]] = {}
    for name in dict.fromkeys((*then, *now)):
        apart = _apart(then.get(name), now.get(name))
        if apart != 0.0:
            group = groups.get(name, "head:weight")
            found.setdefault((group.rpartition(":")[0], group in frozen), []).append(apart)
    return tuple(
        StageDifference(stage, is_frozen, len(parts), _largest(parts))
        for (stage, is_frozen), parts in found.items()
    )


def _apart(then: torch.Tensor | None, now: torch.Tensor | None) -> float | None:
    """Return the largest difference of two tensors; None if they cannot be compared."""
    if then is None or now is None or then.shape != now.shape or then.dtype != now.dtype:
        return None
    if then.equal(now):
        return 0.0
    apart = (then.double() - now.double()).abs().max().item()
    # Not a number on one side is as different as can be, and on both it is the same.
    return apart if apart == apart else (0.0 if _same_bytes(then, now) else None)  # noqa: PLR0124


def _same_bytes(then: torch.Tensor, now: torch.Tensor) -> bool:
    return then.numpy().tobytes() == now.numpy().tobytes()


def _largest(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return max(known) if len(known) == len(parts) else None


def prediction_differences(then: Results, now: Results) -> PredictionsDifference:
    """Return how many predictions differ.

    Args:
        then: What the run came to.
        now: What the run that was made of it came to.
    """
    ids = list(dict.fromkeys((*then.predictions, *now.predictions)))
    pairs = [(then.predictions.get(one, {}), now.predictions.get(one, {})) for one in ids]
    return PredictionsDifference(
        images=len(ids),
        other_class=sum(one.get("predicted") != other.get("predicted") for one, other in pairs),
        other_numbers=sum(one != other for one, other in pairs),
        largest=max((_farthest(one, other) for one, other in pairs), default=0.0),
    )


def _farthest(then: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    one, other = then.get("probabilities", {}), now.get("probabilities", {})
    return max((abs(one[name] - other[name]) for name in one.keys() & other.keys()), default=0.0)
