"""Features as a stream of blocks, so that memory does not grow with the number of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import torch

from tlf.errors import RunError

#: Each call walks over the images anew, in the same order and blocks: features `(n, width)` of any
#: float type, labels int64 `(n,)` or, of images with any number of classes, float `(n, classes)`. A
#: block may be overwritten once the next one is asked for.
Blocks: TypeAlias = Callable[[], Iterable[tuple[torch.Tensor, torch.Tensor]]]


def checked(blocks: Blocks) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the blocks, on the CPU and detached, after a look at their features.

    Args:
        blocks: Features and labels.

    Raises:
        RunError: A feature is infinite or not a number.
    """
    seen = 0
    for block, labels in blocks():
        features = block.detach().cpu()
        finite = features.isfinite()
        if not bool(finite.all()):
            row, column = (~finite).nonzero()[0].tolist()
            raise RunError(
                f"feature {column + 1} of image {seen + row + 1} is "
                f"`{float(features[row, column])}`, and no head can be fitted on that",
                hint="set `device.options.precision` to `float32`, or look at the weights",
            )
        seen += len(labels)
        yield features, labels.cpu()
