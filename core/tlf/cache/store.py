"""The cache as a whole."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tlf.cache.digests import FileDigests
from tlf.cache.entry import Entry
from tlf.cache.files import FilePool
from tlf.cache.folders import (
    entry_folder,
    entry_folders,
    key_of,
    plain,
    read_description,
    reason_of,
    remove_entry,
    remove_leftovers,
    segment_paths,
    usage_of,
)
from tlf.cache.notes import Notes
from tlf.cache.room import Room, Warn
from tlf.cache.segment import DamagedError, Segment, count_rows

_UNKNOWN = "unknown: `tlf cache verify` removes it"


@dataclass(frozen=True)
class EntryInfo:
    """What is known of an entry.

    Attributes:
        key: What its folder is called.
        description: What made its rows; empty if that is damaged.
        rows: How many it has.
        bytes: Of all its files.
        last_used: In seconds since 1970.
        folder: Where it lies.
    """

    key: str
    description: Mapping[str, Any]
    rows: int
    bytes: int
    last_used: float
    folder: Path

    @property
    def what(self) -> str:
        """What it is, for people."""
        return str(self.description.get("what", "")) if self.description else _UNKNOWN


@dataclass(frozen=True)
class Problem:
    """Something in a cache that was not as it should be, and is put right.

    Attributes:
        what: What it was: the rows of an entry, or a file of the user's.
        reason: What was wrong with it.
    """

    what: str
    reason: str


class Cache:
    """Entries in a folder, and the digests of files. Opening one writes nothing.

    Args:
        folder: The cache's folder; made when there is something to store.
        max_bytes: How large all entries together may be. Whole entries that were used least recently
            go first, but none that is open here.
        warn: Told, once each, what is damaged and why nothing more is stored.

    Attributes:
        folder: The cache's folder.
        digests: The digests of files.
        notes: Small texts.
    """

    def __init__(self, folder: Path, max_bytes: int, warn: Warn = warnings.warn) -> None:
        self.folder = folder
        self.digests = FileDigests(folder / "digests.sqlite")
        self.notes = Notes(folder / "notes")
        self._warn = warn
        self._room = Room(folder, max_bytes, warn)
        self._pool = FilePool()
        self._open: dict[str, Entry] = {}

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def entry(self, description: Mapping[str, Any]) -> Entry:
        """Return the entry of a description. Nothing is written; if it is there, it is now used.

        Args:
            description: What makes the rows: plain data. Its `what` is what people are told.

        Raises:
            ValueError: The description is no plain data. So does TypeError.
        """
        key = key_of(plain(description))
        if key not in self._open:
            self._room.in_use.add(key)
            self._open[key] = Entry(self.folder, description, self._room, self._pool, self._warn)
        return self._open[key]

    def flush(self) -> None:
        """Write what has not been written yet."""
        for entry in self._open.values():
            entry.flush()

    def close(self) -> None:
        """Write what has not been written yet, and close the files."""
        self.flush()
        self._pool.clear()

    def entries(self) -> list[EntryInfo]:
        """Return what is stored, the last used first."""
        found = map(_info, entry_folders(self.folder))
        return sorted(filter(None, found), key=lambda entry: entry.last_used, reverse=True)

    def clear(self, keys: Sequence[str] | None = None) -> int:
        """Remove entries and return how many bytes that has freed.

        Args:
            keys: The keys of the entries; None for all of them, the digests of files and the notes.
        """
        if keys is None:
            freed = sum(map(remove_entry, entry_folders(self.folder)))
            freed += self.digests.clear() + self.notes.clear()
            remove_leftovers(self.folder)
        else:
            freed = sum(remove_entry(entry_folder(self.folder, key)) for key in keys)
        self._look_again()
        return freed

    def verify(self) -> list[Problem]:
        """Read everything that is stored, and hash all known files again.

        What is damaged is removed. So is what is known of a file whose content has changed though
        nothing else about it has.

        Returns:
            What was wrong.
        """
        problems = [
            problem for folder in entry_folders(self.folder) for problem in self._verify(folder)
        ]
        self._look_again()
        reason = "its content has changed, though its size and its time of change have not"
        return [*problems, *(Problem(path, reason) for path in self.digests.verify())]

    def _verify(self, folder: Path) -> list[Problem]:
        try:
            description = read_description(folder)
        except (DamagedError, OSError) as error:
            if isinstance(error, DamagedError):
                remove_entry(folder)
            return [Problem(folder.name[:12], reason_of(error))]
        if description is None or key_of(description) != folder.name:
            # Nothing is there yet, or another version of tlf has stored it.
            return []
        problems = []
        for path in segment_paths(folder):
            reason = self._damage(path)
            if reason is not None:
                problems.append(Problem(str(description.get("what") or folder.name[:12]), reason))
        return problems

    def _damage(self, path: Path) -> str | None:
        """Remove a segment if it is damaged; return what is wrong with it, or None."""
        # A file of the pool may be one that has been replaced.
        self._pool.drop(path)
        try:
            segment, _ = Segment.open(path, path.parent.name, self._pool)
            segment.check(self._pool.take(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            return reason_of(error)
        except DamagedError as error:
            self._pool.drop(path)
            try:
                path.unlink(missing_ok=True)
            except OSError as why:
                return f"{reason_of(error)}, and it cannot be removed ({reason_of(why)})"
            return reason_of(error)
        return None

    def _look_again(self) -> None:
        for entry in self._open.values():
            entry.look_again()


def _info(folder: Path) -> EntryInfo | None:
    """Return what is known of an entry; None if nothing is stored there."""
    try:
        description = read_description(folder)
    except (OSError, DamagedError):
        description = {}
    if description is None:
        return None
    usage = usage_of(folder)
    rows = sum(map(count_rows, segment_paths(folder)))
    return EntryInfo(folder.name, description, rows, usage.bytes, usage.last_used, folder)
