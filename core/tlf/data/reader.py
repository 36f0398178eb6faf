"""From items to images of one size, in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
import torch
from PIL.Image import Image

from tlf.data.audit import broken_transform
from tlf.data.decode import UnreadableImageError, decode, digest
from tlf.data.quiet import pil_warnings_ignored
from tlf.data.reasons import reason_of
from tlf.data.threads import ThreadPool
from tlf.errors import PluginError
from tlf.plugin import Item, Transform

#: Digest of an item's content and the image, or why it cannot be read.
Result = tuple[str, torch.Tensor] | str

ReadT = TypeVar("ReadT")


def read_item(item: Item, use: Callable[[bytes | np.ndarray], ReadT]) -> ReadT | str:
    """Return what a function makes of an item's content, or why it cannot be read.

    Args:
        item: What to read.
        use: May raise `UnreadableImageError`.
    """
    try:
        return use(item.read())
    except UnreadableImageError as error:
        return error.reason
    except OSError as error:
        return reason_of(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - who knows what a data source raises
        kind, reason = type(error).__name__, reason_of(error)
        return f"the data source raises {kind}" + ("" if reason == kind else f": {reason}")


class Reader:
    """Reads items in threads, and counts what it decodes.

    Args:
        transform: Its `load` is applied to every image.
        workers: Threads that decode; 0 for none, None for one per core.
    """

    def __init__(self, transform: Transform[Any], workers: int | None) -> None:
        self._transform = transform
        self._pool = ThreadPool(workers)
        self._lock = threading.Lock()
        self.images_decoded = 0

    def read(self, items: Iterable[Item]) -> Generator[Result]:
        """Yield digest and image of each item, in order, or why it cannot be read.

        Args:
            items: What to read.
        """
        with pil_warnings_ignored(), closing(self._pool.map(self._read, items)) as results:
            yield from results

    def _read(self, item: Item) -> Result:
        found = read_item(item, lambda content: (decode(content), digest(content)))
        if isinstance(found, str):
            return found
        image, identity = found
        with self._lock:
            self.images_decoded += 1
        return identity, self._load(item, image)

    def _load(self, item: Item, image: Image) -> torch.Tensor:
        try:
            loaded = self._transform.load(image)
        except Exception as error:
            raise PluginError(
                f"the transform fails on `{item.id}`: {error or type(error).__name__}",
                hint="remove the image, or report this to whoever wrote the transform",
            ) from error
        if not isinstance(loaded, torch.Tensor):
            raise broken_transform(f"it loads `{item.id}` as {type(loaded).__name__}, no tensor")
        return loaded
