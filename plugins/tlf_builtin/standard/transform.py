"""The transform `standard`: `plain` for evaluation, random crops and flips for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F  # noqa: N812 - what torchvision calls it

from tlf_builtin.plain.transform import Plain
from tlf_builtin.standard.crop import draw_crop
from tlf_builtin.standard.options import StandardOptions

StandardOptionsT = TypeVar("StandardOptionsT", bound=StandardOptions)


class Standard(Plain[StandardOptionsT]):
    """Resizes the shorter side and crops the centre; in training, crops and mirrors at random.

    What is stored is the centre square, `resize` pixels a side.

    Args:
        options: Sizes, filter, normalisation, and the ranges of the random crops.
        config: What the backbone's weights were trained to see.
    """

    def augment(self, batch: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Return a random view of each image, uint8 `(N, 3, size, size)`."""
        views = batch.new_empty(len(batch), 3, self.size, self.size)
        for row, (image, generator) in enumerate(zip(batch, generators, strict=True)):
            views[row] = self.random_view(image, generator)
        return views

    def random_view(self, image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a random crop of an image, resized and perhaps mirrored, uint8.

        Args:
            image: What `load` returned, uint8 `(3, H, W)`. The view may share its memory.
            generator: Of the item.
        """
        options = self.options
        crop = draw_crop(
            generator,
            *image.shape[-2:],
            scale=options.scale,
            ratio=options.ratio,
            flip=options.flip,
        )
        view: torch.Tensor = F.resized_crop(
            image,
            crop.top,
            crop.left,
            crop.height,
            crop.width,
            [self.size, self.size],
            InterpolationMode(self.interpolation),
            antialias=True,
        )
        return view.flip(-1) if crop.mirrored else view
