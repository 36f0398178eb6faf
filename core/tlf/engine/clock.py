"""How long things took: wall seconds, which no result depends on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

_IMPORTED = time.perf_counter()


@contextmanager
def timed(seconds: dict[str, float], kind: str) -> Iterator[None]:
    """Add the seconds that a block takes to an account.

    Args:
        seconds: The accounts.
        kind: Which one.
    """
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[kind] = seconds.get(kind, 0.0) + time.perf_counter() - started


class Waiting(Generic[ItemT]):
    """An iteration that knows how long it was waited for.

    Args:
        items: What is iterated over, once.

    Attributes:
        seconds: How long the items took to come.
    """

    def __init__(self, items: Iterable[ItemT]) -> None:
        self._items = items
        self.seconds = 0.0

    def __iter__(self) -> Iterator[ItemT]:
        items = iter(self._items)
        while True:
            started = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - started
            yield item


def process_seconds() -> float:
    """Return how long this process has lived, in seconds.

    Where the system does not tell, the time since the engine was imported.
    """
    try:
        started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return uptime - started_ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.perf_counter() - _IMPORTED
