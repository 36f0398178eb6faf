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

#: More epochs no run has, so a view beyond this number is that of no epoch.
MOST_EPOCHS = 100_000


def view_of_epoch(views: Views, seed: int, digest: str, epoch: int, repeat: int = 0) -> int | None:
    """Return which view of an image an epoch trains on; None for the evaluation's.

    Of K views, each comes once in K epochs; which of them is first differs from image to image.

    Args:
        views: How many there are.
        seed: The run's seed.
        digest: Of the image's content.
        epoch: Index of the epoch in the whole run.
        repeat: How often the epoch has trained on the image already: it sees another view then, if
            there is one.
    """
    if views == "none":
        return None
    if views == "every-epoch":
        return epoch + repeat * MOST_EPOCHS
    return (stable_seed("first view", seed, digest) + epoch + repeat) % views


def load_views(
    split: LoadedSplit,
    transform: Transform[Any],
    indices: Sequence[int],
    views: Sequence[int | None],
    augmentation_seed: int,
) -> torch.Tensor:
    """Return one view of each image, uint8 `(n, 3, size, size)`.

    Args:
        split: Where the images are.
        transform: Makes the views.
        indices: Places of the images in the split.
        views: The view of each: its number, from 0, or None for the view that evaluation sees.
        augmentation_seed: Draws the random views.

    Raises:
        PluginError: The transform returns something else.
    """
    digests = [split.digests[index] for index in indices]
    return make_views(split.load(indices), transform, digests, views, augmentation_seed)


def make_views(
    images: torch.Tensor,
    transform: Transform[Any],
    digests: Sequence[str],
    views: Sequence[int | None],
    augmentation_seed: int,
) -> torch.Tensor:
    """Return one view of each image, uint8 `(n, 3, size, size)`.

    Args:
        images: What the transform's `load` returned, uint8 `(n, 3, H, W)`.
        transform: Makes the views.
        digests: Of each image's content.
        views: The view of each; see `load_views`.
        augmentation_seed: Draws the random views.

    Raises:
        PluginError: The transform returns something else.
    """
    plain = [row for row, view in enumerate(views) if view is None]
    if len(plain) == len(views):
        return _checked(transform.evaluate(images), len(images), transform)
    drawn = [(row, view) for row, view in enumerate(views) if view is not None]
    generators = [
        stable_generator("view", augmentation_seed, digests[row], view) for row, view in drawn
    ]
    if not plain:
        return _checked(transform.augment(images, generators), len(images), transform)
    made = torch.empty(len(images), 3, transform.size, transform.size, dtype=torch.uint8)
    rows = [row for row, _ in drawn]
    made[plain] = _checked(transform.evaluate(images[plain]), len(plain), transform)
    made[rows] = _checked(transform.augment(images[rows], generators), len(rows), transform)
    return made


def _checked(made: object, count: int, transform: Transform[Any]) -> torch.Tensor:
    expected = (count, 3, transform.size, transform.size)
    if not isinstance(made, torch.Tensor):
        raise broken_transform(f"a view is {type(made).__name__}, no tensor")
    if made.dtype != torch.uint8 or tuple(made.shape) != expected:
        raise broken_transform(
            f"a view is {made.dtype} {tuple(made.shape)}, not torch.uint8 {expected}"
        )
    return made
