"""Whether there is room for more, and what has to go for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tlf.cache.folders import (
    entry_folders,
    folder_size,
    reason_of,
    remove_entry,
    remove_leftovers,
    usage_of,
)
from tlf.cache.sizes import in_words

Warn = Callable[[str], None]


class Room:
    """Keeps a cache within its size, and remembers when it can be written to no longer.

    Processes that write at the same moment do not see each other's files yet, so the cache may grow
    beyond its size by what each of them is writing; the next one to write puts that right.

    Args:
        folder: The cache's folder.
        max_bytes: How large all entries together may be.
        warn: Told why nothing more is stored.

    Attributes:
        writable: Whether anything more is stored.
        in_use: Keys of the entries that are open here, which stay.
    """

    def __init__(self, folder: Path, max_bytes: int, warn: Warn) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._warn = warn
        self.writable = True
        self.in_use: set[str] = set()

    def make(self, needed: int) -> bool:
        """Remove the entries that were used least recently until there is room.

        Args:
            needed: How many bytes are to be written.

        Returns:
            Whether there is room. If not, nothing was removed, and nothing more is stored.
        """
        remove_leftovers(self._folder)
        total = folder_size(self._folder / "entries")
        excess = total + needed - self._max_bytes
        if excess <= 0:
            return True
        unused = [
            usage_of(folder)
            for folder in entry_folders(self._folder)
            if folder.name not in self.in_use
        ]
        if excess <= sum(usage.bytes for usage in unused):
            for usage in sorted(unused, key=lambda usage: usage.last_used):
                excess -= remove_entry(usage.folder)
                if excess <= 0:
                    return True
        self._stop(
            f"the cache `{self._folder}` may hold {in_words(self._max_bytes)}, and that is full; "
            "going on without storing more"
        )
        return False

    def give_up(self, error: OSError) -> None:
        """Store nothing more, because it cannot be written.

        Args:
            error: What the system said.
        """
        self._stop(
            f"the cache `{self._folder}` cannot be written ({reason_of(error)}); going on without it"
        )

    def _stop(self, message: str) -> None:
        if self.writable:
            self.writable = False
            self._warn(message)
