"""Which images a setting is chosen on, and which setting that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tlf.plugin import split_items

if TYPE_CHECKING:
    from tlf.plugin import Item

#: Losses nearer to each other than this, as a share of the lowest, are equal.
SAME_LOSS = 1e-6


@dataclass(frozen=True)
class Candidate:
    """How a setting did on the images that were held out.

    Attributes:
        value: The setting: a strength, or a k.
        loss: Mean cross-entropy in nats.
        accuracy: Share of the images that were right, in [0, 1]; where they have any number of
            classes, the mean average precision.
        metric: What that is.
    """

    value: float
    loss: float
    accuracy: float
    metric: str = "accuracy"

    def as_json(self) -> dict[str, float]:
        """Return what the report holds of it, but for the setting."""
        return {"loss": self.loss, self.metric: self.accuracy}


def hold_out(
    labels: Sequence[int] | torch.Tensor, *, share: float = 0.2, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Split images into those to fit on and those to choose on, class by class.

    A class of one image has it among those to fit on. Of a larger class, at least one image goes to
    each side.

    Args:
        labels: Of the images, int64 `(N,)`.
        share: Of each class to choose on, in [0, 1]; 0 holds out nothing.
        seed: The same one gives the same images.

    Returns:
        Indices to fit on and indices to choose on, int64, in rising order.
    """
    classes = torch.as_tensor(labels, dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(classes), dtype=torch.bool)
    for label in sorted(set(classes.tolist())):
        members = (classes == label).nonzero().flatten()
        order = torch.randperm(len(members), generator=generator)
        held[members[order[: _held(len(members), share)]]] = True
    return (~held).nonzero().flatten(), held.nonzero().flatten()


def hold_out_items(
    items: Sequence[Item], *, share: float = 0.2, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Split items into those to fit on and those to choose on, class by class; see `hold_out`.

    A group is on one side, and so counts as one image would; so does an item with several labels, for
    which each of its classes has about the share.

    Args:
        items: Of either task.
        share: Of each class to choose on, in [0, 1); 0 holds out nothing.
        seed: The same one gives the same items.

    Returns:
        Indices to fit on and indices to choose on, int64, in rising order.
    """
    if all(item.group is None and isinstance(item.label, int) for item in items):
        return hold_out([item.labels[0] for item in items], share=share, seed=seed)
    held = {item.id for item in split_items(items, {"held": share}, seed=seed)["held"]}
    chosen = torch.tensor([item.id in held for item in items], dtype=torch.bool)
    return (~chosen).nonzero().flatten(), chosen.nonzero().flatten()


def _held(count: int, share: float) -> int:
    """Return how many images of a class are held out."""
    if share <= 0:
        return 0
    return min(count - 1, max(1, round(share * count)))


def choose_strength(candidates: Sequence[Candidate]) -> Candidate:
    """Return the strength with the lowest loss; of equal ones, the strongest.

    The loss and not the accuracy: of few images it tells strengths apart that get the same ones right.

    Args:
        candidates: At least one.
    """
    return max(_lowest(candidates), key=lambda candidate: candidate.value)


def choose_k(candidates: Sequence[Candidate]) -> Candidate:
    """Return the k with the highest accuracy; of equal ones, the lowest loss, then the larger k.

    The accuracy and not the loss: the loss of a vote says mostly how often a class gets none at all.

    Args:
        candidates: At least one.
    """
    best = max(candidate.accuracy for candidate in candidates)
    likely = _lowest([candidate for candidate in candidates if candidate.accuracy == best])
    return max(likely, key=lambda candidate: candidate.value)


def _lowest(candidates: Sequence[Candidate]) -> list[Candidate]:
    lowest = min(candidate.loss for candidate in candidates)
    return [candidate for candidate in candidates if candidate.loss <= lowest * (1 + SAME_LOSS)]
