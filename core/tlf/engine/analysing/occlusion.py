"""What in an image the network went by: parts of it are covered, and the probability looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING

from captum.attr import Occlusion

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

#: How many steps a side is gone along; what covers is two steps wide, so that no edge is missed.
STEPS = 9

DESCRIBES = (
    "A square, not quite a quarter of the image wide, is laid over each part of the image in turn, "
    "in the mean colour of the images that the weights were trained on: orange is where covering "
    "lowers the probability of the predicted class, so what speaks for it; blue is where covering "
    "raises it. The stronger the colour, the larger the change, beside the largest in the same image."
)


def method() -> dict[str, str]:
    """Return how images are attributed, in words."""
    return {
        "method": "occlusion",
        "library": f"captum {metadata.version('captum')}",
        "describes": DESCRIBES,
    }


def occlude(
    probability: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor, *, at_once: int
) -> npt.NDArray[np.float64]:
    """Return how much covering each pixel lowers a probability, on average over what covers it.

    Nothing is asked of how the network is built (Zeiler and Fergus 2014,
    https://arxiv.org/abs/1311.2901).

    Args:
        probability: Of images `(n, 3, S, S)`, in [0, 1] `(n,)`.
        image: A network's input `(3, S, S)`; 0 is the mean colour.
        at_once: How many images go into the network at a time.

    Returns:
        `(S, S)`, in [-1, 1].
    """
    height, width = image.shape[1:]
    steps = [max(1, math.ceil(side / STEPS)) for side in (height, width)]
    window = tuple(min(2 * step, side) for step, side in zip(steps, (height, width), strict=True))
    found = Occlusion(probability).attribute(
        image[None],
        sliding_window_shapes=(3, *window),
        strides=(3, *steps),
        baselines=0,
        perturbations_per_eval=at_once,
    )
    # The three colours are covered together, so they have one value.
    values: npt.NDArray[np.float64] = found[0, 0].cpu().double().numpy()
    return values
