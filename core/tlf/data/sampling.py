"""Which images an epoch trains on where rare classes are to be seen as often as common ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tlf.data.seeds import stable_generator


def balanced_draw(labels: Sequence[int], seed: int, epoch: int) -> list[int]:
    """Return as many places as there are images, equally many of each class, class by class.

    Within a class, no image is drawn again before all others were: the draws of all epochs together
    go through one shuffled round of its images after another. So of a common class each epoch sees
    another part, and of a rare one each image comes equally often, which drawing at random with
    weights only gives on average.

    Args:
        labels: The class of each image, at least one image.
        seed: The run's seed.
        epoch: Index of the epoch in the whole run.
    """
    members: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        members.setdefault(label, []).append(place)
    each, left = divmod(len(labels), len(members))
    drawn: list[int] = []
    for number, label in enumerate(sorted(members)):
        # The first classes get what is left over, in every epoch: so it is known where each one's
        # rounds have got to.
        count = each + (number < left)
        drawn += _drawn(members[label], epoch * count, count, ("balanced", seed, label))
    return drawn


def _drawn(
    places: Sequence[int], start: int, count: int, rounds: tuple[str, int, int]
) -> list[int]:
    """Return a part of an endless sequence of shuffled rounds of some places."""
    drawn: list[int] = []
    while len(drawn) < count:
        number, offset = divmod(start + len(drawn), len(places))
        generator = stable_generator(*rounds, number)
        order = torch.randperm(len(places), generator=generator).tolist()
        drawn += [places[row] for row in order[offset : offset + count - len(drawn)]]
    return drawn
