"""Where a random crop lies: draws a box from one item's generator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

#: How often a crop is drawn until one fits into the image.
TRIES = 10


@dataclass(frozen=True)
class Crop:
    """A part of an image, in pixels, and whether it is mirrored.

    Attributes:
        top: First row.
        left: First column.
        height: Number of rows.
        width: Number of columns.
        mirrored: Whether left and right are exchanged.
    """

    top: int
    left: int
    height: int
    width: int
    mirrored: bool


def draw_crop(
    generator: torch.Generator,
    height: int,
    width: int,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    flip: float,
) -> Crop:
    """Draw a crop: its share of the area uniformly, its width by height log-uniformly.

    Always takes the same number of draws, so that one option changes nothing but what it names.

    Args:
        generator: Of the item.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        scale: Range of the share of the area, in (0, 1].
        ratio: Range of width by height.
        flip: Probability of mirroring.
    """
    mirror, *draws = torch.rand(1 + 4 * TRIES, generator=generator, dtype=torch.float64).tolist()
    mirrored = mirror < flip
    for start in range(0, len(draws), 4):
        share, aspect, down, right = draws[start : start + 4]
        area = height * width * (scale[0] + share * (scale[1] - scale[0]))
        shape = math.exp(math.log(ratio[0]) + aspect * math.log(ratio[1] / ratio[0]))
        rows, columns = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
        if 0 < rows <= height and 0 < columns <= width:
            top, left = int(down * (height - rows + 1)), int(right * (width - columns + 1))
            return Crop(top, left, rows, columns, mirrored)
    return _centre(height, width, ratio, mirrored=mirrored)


def _centre(height: int, width: int, ratio: tuple[float, float], *, mirrored: bool) -> Crop:
    shape = min(max(width / height, ratio[0]), ratio[1])
    rows = max(1, min(height, round(width / shape)))
    columns = max(1, min(width, round(height * shape)))
    return Crop((height - rows) // 2, (width - columns) // 2, rows, columns, mirrored)
