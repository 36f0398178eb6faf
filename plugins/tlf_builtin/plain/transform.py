"""The transform `plain`: the usual resizing and cropping, the same in every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from tlf.plugin import InputConfig, Transform, to_rgb
from tlf_builtin.plain.options import PlainOptions

PlainOptionsT = TypeVar("PlainOptionsT", bound=PlainOptions)

_PIL_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

#: The longest image, by its shorter side, that is resized whole.
_LONGEST = 16


class Plain(Transform[PlainOptionsT]):
    """Resizes the shorter side and crops the centre, for evaluation and for training.

    What is stored is the centre square, `resize` pixels a side.

    Args:
        options: Sizes, filter and normalisation.
        config: What the backbone's weights were trained to see.
    """

    def __init__(self, options: PlainOptionsT, config: InputConfig) -> None:
        resolved = options.resolve(config)
        super().__init__(options, resolved)
        self.resize = resolved.resize
        self.interpolation = resolved.interpolation

    def describe(self) -> Mapping[str, object]:
        """Return every option with its value here: the backbone's where none is given."""
        resolved = {
            "size": self.size,
            "resize": self.resize,
            "interpolation": self.interpolation,
            "mean": list(self.mean),
            "std": list(self.std),
        }
        return self.options.model_dump(mode="json") | resolved

    def load(self, image: Image.Image) -> torch.Tensor:
        """Return the centre square of the resized image, uint8 `(3, resize, resize)`."""
        rgb = _without_far_ends(to_rgb(image))
        side, short = self.resize, min(rgb.size)
        width, height = (side if edge == short else side * edge // short for edge in rgb.size)
        if (width, height) != rgb.size:
            rgb = rgb.resize((width, height), _PIL_FILTERS[self.interpolation])
        # Such that `evaluate` ends up on the very pixels that one crop from here would take: two
        # crops that each round a half pixel could come out beside them.
        inner = _centred(side, self.size)
        left, top = (_centred(edge, self.size) - inner for edge in (width, height))
        pixels = np.asarray(rgb.crop((left, top, left + side, top + side)))
        # Copied by numpy: torch would bring threads of its own into every thread that decodes.
        return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))

    def evaluate(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the centre of each image, uint8 `(N, 3, size, size)`."""
        top, left = (_centred(edge, self.size) for edge in batch.shape[-2:])
        return batch[..., top : top + self.size, left : left + self.size].contiguous()


def _centred(edge: int, side: int) -> int:
    # Python's rounding to even: what torchvision's CenterCrop does.
    return round((edge - side) / 2)


def _without_far_ends(image: Image.Image) -> Image.Image:
    """Return the middle of a long strip: resized whole, it could fill the memory."""
    longest = _LONGEST * min(image.size)
    width, height = (min(edge, longest) for edge in image.size)
    if (width, height) == image.size:
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
