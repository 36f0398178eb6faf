"""Which box of a view is erased: random erasing (Zhong et al., 2017, arxiv.org/abs/1708.04896)."""

from __future__ import annotations

import torch

from tlf_builtin.standard.crop import NUMBERS, Box, boxes, draw_numbers

#: Range of a box's width by its height: torchvision's 0.3 to 3.3, which is of height by width.
_RATIO = (1 / 3.3, 1 / 0.3)


def draw_erasing(
    generator: torch.Generator,
    height: int,
    width: int,
    *,
    probability: float,
    scale: tuple[float, float],
) -> Box | None:
    """Draw the box to erase, as torchvision's `RandomErasing` does; None for none.

    Always takes the same number of draws, so that one option changes nothing but what it names.

    Args:
        generator: Of the item.
        height: Of the view, in pixels.
        width: Of the view, in pixels.
        probability: That there is a box, in [0, 1]. There is none, too, if none fits that was tried.
        scale: Range of the share of the area, in (0, 1].
    """
    chance, *numbers = draw_numbers(generator, 1 + NUMBERS)
    if chance >= probability:
        return None
    tried = boxes(numbers, height, width, scale=scale, ratio=_RATIO)
    return next((box for box in tried if box.height < height and box.width < width), None)
