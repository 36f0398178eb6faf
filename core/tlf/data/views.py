"""Views: what a network sees of an image, the evaluation's or a random one.

A random view is a fixed function of the augmentation seed, the image's content and the view's
number. So it does not depend on the batch, the order or the threads, and may be made once and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch

from tlf.data.audit import broken_transform
from tlf.data.seeds import stable_generator, stable_seed

if TYPE_CHECKING:
    from tlf.data.loaded import LoadedSplit
    from tlf.plugin import Transform

#: How many views there are of an image: none but the evaluation's, so many, or one an epoch.
Views = Literal["none", "every-epoch"] | int


def view_of_epoch(views: Views, seed: int, digest: str, epoch: int) -> int | None:
    """Return which view of an image an epoch trains on; None for the evaluation's.

    Args:
        views: How many there are.
        seed: The run's seed.
        digest: Of the image's content.
        epoch: Index of the epoch in the whole run.
    """
    if views == "none":
        return None
    if views == "every-epoch":
        return epoch
    return stable_seed("view of epoch", seed, digest, epoch) % views


def load_views(
    split: LoadedSplit,
    transform: Transform[Any],
    indices: Sequence[int],
    *,
    view: int | Sequence[int] | None,
    augmentation_seed: int,
) -> torch.Tensor:
    """Return one view of each image, uint8 `(n, 3, size, size)`.

    Args:
        split: Where the images are.
        transform: Makes the views.
        indices: Places of the images in the split.
        view: Number of the view, from 0: one for all images or one for each. None for the view that
            evaluation sees.
        augmentation_seed: Draws the random views.

    Raises:
        PluginError: The transform returns something else.
    """
    loaded = split.load(indices)
    if view is None:
        made = transform.evaluate(loaded)
    else:
        numbers = [view] * len(indices) if isinstance(view, int) else view
        generators = [
            stable_generator("view", augmentation_seed, split.digests[index], number)
            for index, number in zip(indices, numbers, strict=True)
        ]
        made = transform.augment(loaded, generators)
    expected = (len(indices), 3, transform.size, transform.size)
    if not isinstance(made, torch.Tensor):
        raise broken_transform(f"a view is {type(made).__name__}, no tensor")
    if made.dtype != torch.uint8 or tuple(made.shape) != expected:
        raise broken_transform(
            f"a view is {made.dtype} {tuple(made.shape)}, not torch.uint8 {expected}"
        )
    return made
