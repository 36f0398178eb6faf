"""Where a random box lies: draws the crop of a view from one item's generator."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

#: How often a box is drawn until one fits into the image.
TRIES = 10

#: How many numbers that takes: the share of the area, the shape and the place of each.
NUMBERS = 4 * TRIES


@dataclass(frozen=True)
class Box:
    """A part of an image, in pixels.

    Attributes:
        top: First row.
        left: First column.
        height: Number of rows.
        width: Number of columns.
    """

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Crop(Box):
    """A part of an image, in pixels, and whether it is mirrored.

    Attributes:
        mirrored: Whether left and right are exchanged.
    """

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
    mirror, *numbers = draw_numbers(generator, 1 + NUMBERS)
    mirrored = mirror < flip
    for box in boxes(numbers, height, width, scale=scale, ratio=ratio):
        if 0 < box.height <= height and 0 < box.width <= width:
            return Crop(box.top, box.left, box.height, box.width, mirrored)
    return _centre(height, width, ratio, mirrored=mirrored)


def draw_numbers(generator: torch.Generator, count: int) -> list[float]:
    """Draw numbers in [0, 1).

    Args:
        generator: Of the item.
        count: How many.
    """
    drawn: list[float] = torch.rand(count, generator=generator, dtype=torch.float64).tolist()
    return drawn


def boxes(
    numbers: Sequence[float],
    height: int,
    width: int,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Iterator[Box]:
    """Yield a box for every four numbers, whether it fits into the image or not.

    Args:
        numbers: In [0, 1).
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        scale: Range of the share of the area, uniform in it.
        ratio: Range of width by height, log-uniform in it.
    """
    for start in range(0, len(numbers), 4):
        share, aspect, down, right = numbers[start : start + 4]
        area = height * width * (scale[0] + share * (scale[1] - scale[0]))
        shape = math.exp(math.log(ratio[0]) + aspect * math.log(ratio[1] / ratio[0]))
        rows, columns = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
        top, left = int(down * (height - rows + 1)), int(right * (width - columns + 1))
        yield Box(top, left, rows, columns)


def _centre(height: int, width: int, ratio: tuple[float, float], *, mirrored: bool) -> Crop:
    shape = min(max(width / height, ratio[0]), ratio[1])
    rows = max(1, min(height, round(width / shape)))
    columns = max(1, min(width, round(height * shape)))
    return Crop((height - rows) // 2, (width - columns) // 2, rows, columns, mirrored)
