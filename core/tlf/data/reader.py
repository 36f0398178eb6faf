"""From items to images of one size, in threads; what is known already is not read again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL.Image import Image

from tlf.data.audit import broken_transform
from tlf.data.decode import UnreadableImageError, decode, digest
from tlf.data.patience import Patience
from tlf.data.quiet import pil_warnings_ignored
from tlf.data.reasons import reason_of
from tlf.data.threads import ThreadPool
from tlf.errors import PluginError
from tlf.plugin import Item, Transform

#: Larger files are not read, in bytes: the largest image that is safe to decode takes less than that.
LARGEST_FILE = 2_000_000_000


@dataclass(frozen=True)
class Wanted:
    """An item that is to be read.

    Attributes:
        item: The item.
        digest: Of its content, if that is known.
        needed: Says of the digest whether the image is needed. Called in any thread.
        prepare: Makes something of digest and image, uint8 `(3, H, W)`. Called in any thread.
    """

    item: Item
    digest: str | None = None
    needed: Callable[[str], bool] = lambda _: True
    prepare: Callable[[str, torch.Tensor], object] = lambda _digest, _image: None


@dataclass(frozen=True)
class Read:
    """What was read of an item.

    Attributes:
        digest: Of its content.
        image: What the transform makes of it; None if nobody needs it.
        stat: Of its file, from before it was read; None if it has no file or was not read.
        prepared: What was made of the image.
    """

    digest: str
    image: torch.Tensor | None
    stat: os.stat_result | None = None
    prepared: object = None


#: What was read of an item, or why it cannot be read.
Result = Read | str

ReadT = TypeVar("ReadT")


def read_item(item: Item, use: Callable[[bytes | np.ndarray], ReadT]) -> ReadT | str:
    """Return what a function makes of an item's content, or why it cannot be read.

    Args:
        item: What to read.
        use: May raise `UnreadableImageError`.
    """
    try:
        _check_size(item.path)
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
        workers: Threads that decode, None for one per core; 0 for nothing in advance.
        patience: How long to wait for an item.
    """

    def __init__(
        self, transform: Transform[Any], workers: int | None, patience: Patience | None = None
    ) -> None:
        self._transform = transform
        self._pool = ThreadPool(workers, patience)
        self._lock = threading.Lock()
        self.images_decoded = 0

    def read(self, wanted: Iterable[Wanted]) -> Generator[Result]:
        """Yield what was read of each item, in order, or why it cannot be read.

        Args:
            wanted: What to read.

        Raises:
            DataError: It has been waited too long for an item.
        """
        reading = self._pool.map(self._read, wanted, lambda one: one.item.id)
        with pil_warnings_ignored(), closing(reading) as results:
            yield from results

    def _read(self, wanted: Wanted) -> Result:
        item, needed = wanted.item, wanted.needed
        if wanted.digest is not None and not needed(wanted.digest):
            return Read(wanted.digest, None)
        stat = _stat(item.path)

        def use(content: bytes | np.ndarray) -> tuple[str, Image | None]:
            identity = digest(content)
            return identity, decode(content) if needed(identity) else None

        found = read_item(item, use)
        if isinstance(found, str):
            return found
        identity, image = found
        if image is None:
            return Read(identity, None, stat)
        with self._lock:
            self.images_decoded += 1
        loaded = self._load(item, image)
        return Read(identity, loaded, stat, wanted.prepare(identity, loaded))

    def _load(self, item: Item, image: Image) -> torch.Tensor:
        try:
            loaded = self._transform.load(image)
        except MemoryError:
            raise
        except Exception as error:
            raise PluginError(
                f"the transform fails on `{item.id}`: {error or type(error).__name__}",
                hint="remove the image, or report this to whoever wrote the transform",
            ) from error
        if not isinstance(loaded, torch.Tensor):
            raise broken_transform(f"it loads `{item.id}` as {type(loaded).__name__}, no tensor")
        return loaded


def _check_size(path: Path | None) -> None:
    # It would be read as a whole, and then turn out to be a film, or an archive.
    size = 0 if path is None else path.stat().st_size
    if size > LARGEST_FILE:
        raise UnreadableImageError(
            f"a file of {size / 1e9:.1f} GB, more than the {LARGEST_FILE / 1e9:g} GB that are read"
        )


def _stat(path: Path | None) -> os.stat_result | None:
    # Before the reading: if the file is written to meanwhile, its times are later than these.
    try:
        return None if path is None else path.stat()
    except OSError:
        return None
