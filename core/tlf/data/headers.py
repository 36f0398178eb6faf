"""The headers of images: how large they are, and whether they are grey, without decoding them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from tlf.data.decode import open_image
from tlf.data.quiet import pil_warnings_ignored
from tlf.data.reader import read_item
from tlf.data.threads import ThreadPool
from tlf.plugin import Item

#: Modes of PIL's without colours. What the pixels of the others show is not looked at.
_GREY = ("1", "L", "LA", "La", "F")


@dataclass(frozen=True)
class Header:
    """What the header of an image says.

    Attributes:
        width: In pixels, as stored: a photograph that was taken upright may lie on its side.
        height: In pixels.
        is_grey: Whether it has no colours to show.
    """

    width: int
    height: int
    is_grey: bool


def read_headers(items: Sequence[Item]) -> list[Header | str]:
    """Return the header of each item, in order, or why it cannot be read.

    Args:
        items: What to look at.
    """
    pool = ThreadPool(None)
    with pil_warnings_ignored(), closing(pool.map(_read, items, lambda item: item.id)) as headers:
        return list(headers)


def _read(item: Item) -> Header | str:
    return read_item(item, _header)


def _header(content: bytes | np.ndarray) -> Header:
    image = open_image(content)
    is_grey = image.mode in _GREY or image.mode.startswith("I")
    return Header(image.width, image.height, is_grey)
