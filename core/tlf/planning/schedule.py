"""How the learning rate moves over a run: a pure function of progress."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["cosine", "linear", "constant", "slanted-triangular"]

#: How much smaller than the peak the rate of a slanted triangle is at both of its ends.
SLANTED_RATIO = 32


def rate_factor(schedule: Schedule, warmup: float, progress: float) -> float:
    """Return what every learning rate is multiplied by.

    The same curve governs all groups, those that are thawed later too: it depends on the progress of
    the whole run, and on nothing that happened in it.

    Args:
        schedule: How the rate falls after the warmup. `cosine` is one half period of a cosine
            (Loshchilov and Hutter, 2016, https://arxiv.org/abs/1608.03983, without restarts).
            `slanted-triangular` rises from and falls to a 32nd of the peak in straight lines (Howard
            and Ruder, 2018, https://arxiv.org/abs/1801.06146, equation 3; theirs has a warmup of 0.1).
        warmup: Share of the run in which the factor rises in a straight line, in [0, 1).
        progress: Share of the run's batches that are done, in [0, 1).

    Returns:
        A factor in [0, 1].
    """
    if progress < warmup:
        return _from_ends(schedule, progress / warmup)
    rest = (progress - warmup) / (1.0 - warmup)
    if schedule == "slanted-triangular":
        return _from_ends(schedule, 1.0 - rest)
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * rest))
    return 1.0 - rest if schedule == "linear" else 1.0


def _from_ends(schedule: Schedule, share: float) -> float:
    """Return the factor at some share of a straight line from an end of the curve up to the peak."""
    least = 1.0 / SLANTED_RATIO if schedule == "slanted-triangular" else 0.0
    return least + (1.0 - least) * share
