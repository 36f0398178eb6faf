"""A look at each image of a data set: all that can be told of it alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

import numpy as np

from tlf.data.decode import UnreadableImageError, decode, digest, open_image
from tlf.data.near import Fingerprint, fingerprint
from tlf.data.quiet import pil_warnings_ignored
from tlf.data.reader import read_item
from tlf.data.reasons import reason_of
from tlf.data.threads import ThreadPool
from tlf.plugin import Item, to_rgb

#: What PIL calls an animation and is none: photographs with a small copy of themselves inside.
_STILL = frozenset({"MPO"})


@dataclass(frozen=True)
class Look:
    """What is seen of one image.

    Attributes:
        digest: Of its content.
        width: In pixels, as stored.
        height: In pixels.
        mode: What PIL calls the kind of its pixels: `RGB`, `L`, `CMYK`.
        is_animated: Whether it has more frames than the first, which is the one that is used.
        fingerprint: What it looks like.
    """

    digest: str
    width: int
    height: int
    mode: str
    is_animated: bool
    fingerprint: Fingerprint


def look_at(items: Iterable[Item], workers: int | None) -> Iterator[Look | str]:
    """Yield what is seen of each item, in order, or why it cannot be read.

    Args:
        items: What to look at. Each is decoded completely, and not kept.
        workers: Threads that decode; 0 for none, None for one per core.
    """
    pool = ThreadPool(workers)
    with (
        pil_warnings_ignored(),
        closing(pool.map(_look_at_item, items, lambda one: one.id)) as looks,
    ):
        yield from looks


def _look_at_item(item: Item) -> Look | str:
    return read_item(item, _look)


def _look(content: bytes | np.ndarray) -> Look:
    image = decode(content)
    width, height, mode = image.width, image.height, image.mode
    try:
        shown = fingerprint(to_rgb(image))
    except MemoryError:
        raise
    except Exception as error:
        # PIL's decoders raise nearly every kind of error there is.
        raise UnreadableImageError(reason_of(error)) from error
    return Look(digest(content), width, height, mode, _is_animated(content), shown)


def _is_animated(content: bytes | np.ndarray) -> bool:
    # Of a file opened anew: to ask moves to the next frame. That may be damaged, and is never used.
    with suppress(Exception):
        image = open_image(content)
        return image.format not in _STILL and bool(getattr(image, "is_animated", False))
    return False
