"""Files that are written whole or not at all, and read by position."""

from __future__ import annotations

import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

#: Files that are kept open at once. A process may have a few hundred, and others need some as well.
OPEN_FILES = 64

#: Whether the system can read at a position without moving the file's own. Windows cannot.
READS_BY_POSITION = hasattr(os, "preadv")


def write_whole(path: Path, parts: Sequence[Any]) -> None:
    """Write a file beside its place and move it there.

    If the writing fails, there is nothing where it was to be, and nothing beside it.

    Args:
        path: The place.
        parts: What comes into it, each something that gives its bytes.

    Raises:
        OSError: It cannot be written.
    """
    # The process's number alone may be that of a process in another container.
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("xb") as file:
            for part in parts:
                file.write(part)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


class Descriptor:
    """A file that is open for reading, as long as somebody holds it.

    It is closed with its last holder, and by nothing else. A pool that closed it by force might do so
    between another thread's taking it and reading, and its number might by then be another file's.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """The file's bytes."""
        return os.fstat(self._number).st_size

    def read(self, into: memoryview, offset: int) -> int:
        """Read until a buffer is full or the file ends, and return how many bytes there were.

        The file is not mapped into memory: mapped pages count as the process's own, and a file that
        somebody cuts off while it is mapped kills the process that looks there.

        Args:
            into: The buffer.
            offset: Where in the file to begin.

        Raises:
            OSError: It cannot be read.
        """
        done = self._read_some(into, offset)
        while 0 < done < len(into):
            count = self._read_some(into[done:], offset + done)
            if not count:
                break
            done += count
        return done

    def _read_some(self, into: memoryview, offset: int) -> int:
        if READS_BY_POSITION:
            return os.preadv(self._number, [into], offset)
        with self._lock:
            os.lseek(self._number, offset, os.SEEK_SET)
            found = os.read(self._number, len(into))
        into[: len(found)] = found
        return len(found)

    def __del__(self, _close: Callable[[int], None] = os.close) -> None:
        # The module may be gone at the end of the process, and so may be the number.
        if hasattr(self, "_number"):
            with suppress(OSError):
                _close(self._number)


class FilePool:
    """Keeps the files open that were read last, a bounded number of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, Descriptor] = OrderedDict()

    def take(self, path: Path) -> Descriptor:
        """Return a file, open.

        Args:
            path: The file.

        Raises:
            OSError: It cannot be opened.
        """
        with self._lock:
            found = self._open.get(path)
            if found is None:
                found = self._open[path] = Descriptor(path)
                if len(self._open) > OPEN_FILES:
                    self._open.popitem(last=False)
            else:
                self._open.move_to_end(path)
            return found

    def drop(self, path: Path) -> None:
        """Keep a file open no longer.

        Args:
            path: The file.
        """
        with self._lock:
            self._open.pop(path, None)

    def clear(self) -> None:
        """Keep no file open any longer."""
        with self._lock:
            self._open.clear()
