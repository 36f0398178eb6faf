"""Averages of weights: how much each snapshot counts, fixed or chosen on images held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlf.engine.choosing import Score
    from tlf.planning import PlannedStep

#: Says how good the average is in which each snapshot has such a share.
Scorer = Callable[[Sequence[float]], "Score"]


def choose_shares(step: PlannedStep, score: Scorer) -> tuple[list[float], dict[str, Any]]:
    """Return the share of each snapshot, and what was tried, as plain data.

    Args:
        step: Names the snapshots, and says how they are averaged.
        score: Looks at the images to choose on; not called where there is nothing to choose.
    """
    count = len(step.snapshots)
    tried: list[dict[str, Any]] = []

    def look(shares: Sequence[float]) -> Score:
        found = score(shares)
        tried.append({"shares": list(shares), **found.as_json()})
        return found

    if isinstance(step.weights, str):
        shares = _equal(range(count), count) if step.weights == "uniform" else _greedy(count, look)
    else:
        pairs = [[1 - share, share] for share in sorted(set(step.weights))]
        shares = pairs[0] if len(pairs) == 1 else max(pairs, key=look)
    return shares, {"snapshots": list(step.snapshots), "shares": shares, "tried": tried}


def _greedy(count: int, look: Scorer) -> list[float]:
    """Return the shares of Wortsman et al.'s greedy soup (2022, recipe 1).

    What is taken in may not make fewer images right; of the loss the recipe does not speak.
    """
    scores = [look(_equal([index], count)) for index in range(count)]
    first, *others = sorted(range(count), key=lambda index: scores[index], reverse=True)
    taken, best = [first], scores[first]
    for index in others:
        found = look(_equal([*taken, index], count))
        if found.value >= best.value:
            taken, best = [*taken, index], found
    return _equal(taken, count)


def _equal(taken: Sequence[int], count: int) -> list[float]:
    return [1 / len(taken) if index in taken else 0.0 for index in range(count)]
