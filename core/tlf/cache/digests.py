"""Remembers the digests of files, so that nobody hashes a file again that has not changed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")

#: A file that changed less than this long ago may change again and keep its time of change.
RACY_NANOSECONDS = 2_000_000_000

#: How long another process may keep the database to itself before it is gone without.
LOCK_SECONDS = 1.0

_ASKED_AT_ONCE = 500

_TABLE = """
CREATE TABLE IF NOT EXISTS files
(path BLOB PRIMARY KEY, stamp BLOB, digest BLOB, checksum INTEGER) WITHOUT ROWID
"""

#: What is wrong with the place, the moment or the machine rather than with the database.
_NOT_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_ABORT,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


class FileStamp(NamedTuple):
    """What is the same for as long as a file is not changed.

    Attributes:
        path: The absolute path.
        size: In bytes.
        mtime_ns: Time of the last change.
        inode: Number of the file, which is another one when it was replaced.
    """

    path: str
    size: int
    mtime_ns: int
    inode: int

    @staticmethod
    def of(path: str | os.PathLike[str]) -> FileStamp:
        """Return the stamp of a file. Take it before you read the file, never after.

        Args:
            path: The file.

        Raises:
            OSError: It is not there, or cannot be looked at.
        """
        found = Path(path).stat()
        return FileStamp(os.path.abspath(path), found.st_size, found.st_mtime_ns, found.st_ino)  # noqa: PTH100 - links stay what they are


class FileDigests:
    """The sha256 of files by their stamps, in a database.

    Whatever is wrong with the database, what it holds is then not remembered, and nothing fails. One
    that is damaged is removed. Each call opens it anew, so there is nothing to close, and nothing
    that a forked process would share.

    Args:
        path: The database; made when there is something to remember.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, files: Sequence[FileStamp]) -> list[bytes | None]:
        """Return the digest of each file, or None if it is not known or the file has changed.

        Args:
            files: The stamps of the files, as many as there are: they are looked up together.
        """
        if not files or not self._path.is_file():
            return [None] * len(files)
        asked = [os.fsencode(file.path) for file in files]
        known = self._with_database(lambda database: _look_up(database, asked)) or {}
        stamps = map(_stamp, files)
        return [
            found[1] if (found := known.get(path)) is not None and found[0] == stamp else None
            for path, stamp in zip(asked, stamps, strict=True)
        ]

    def put(self, files: Iterable[tuple[FileStamp, bytes]]) -> None:
        """Remember digests.

        Args:
            files: Stamps, taken before the files were read, and the sha256 of what was read.
        """
        # The clock of file systems ticks slowly, some in steps of two seconds. A file that is changed
        # twice within a tick has the same stamp both times, so a stamp as fresh as that proves
        # nothing about the content. Git calls it the racy case.
        latest = time.time_ns() - RACY_NANOSECONDS
        rows = [_row(file, digest) for file, digest in files if file.mtime_ns < latest]
        if not rows:
            return
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)

        def write(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)

        self._with_database(write)

    def verify(self) -> list[str]:
        """Hash all files again whose stamp is the same as it was.

        Returns:
            The paths of those whose content is another one nevertheless. They are forgotten.
        """
        if not self._path.is_file():
            return []
        known = self._with_database(_everything) or []
        changed = [path for path, stamp, digest in known if _has_changed(path, stamp, digest)]

        def forget(database: sqlite3.Connection) -> None:
            database.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in changed])

        if changed:
            self._with_database(forget)
        return sorted(map(os.fsdecode, changed))

    def clear(self) -> int:
        """Forget everything, and return how many bytes that has freed."""
        freed = 0
        # What is left of a transaction would otherwise be played into the next database.
        for path in (self._path, self._path.with_name(f"{self._path.name}-journal")):
            with suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                freed += size
        return freed

    def _with_database(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """Do something with the database, with a new one if it is damaged; None if that fails."""
        for _ in range(2):
            try:
                with closing(sqlite3.connect(self._path, timeout=LOCK_SECONDS)) as database:
                    # No waiting for the disk. What a power failure leaves has a checksum.
                    database.execute("PRAGMA synchronous = OFF")
                    database.execute(_TABLE)
                    with database:
                        return work(database)
            except (sqlite3.Error, ValueError, OverflowError, MemoryError) as error:
                # An extended code has the plain one in its lowest byte.
                code = getattr(error, "sqlite_errorcode", None)
                if code is not None and code & 0xFF in _NOT_DAMAGE:
                    return None
                self.clear()
        return None


def _stamp(file: FileStamp) -> bytes:
    # As text, because some systems have numbers of files that are too large for a database.
    return f"{file.size} {file.mtime_ns} {file.inode}".encode()


def _row(file: FileStamp, digest: bytes) -> tuple[bytes, bytes, bytes, int]:
    path, stamp = os.fsencode(file.path), _stamp(file)
    return path, stamp, digest, _checksum(path, stamp, digest)


def _checksum(path: bytes, stamp: bytes, digest: bytes) -> int:
    # The database has none of its own, and a wrong digest would bring somebody a wrong row.
    return zlib.crc32(b"\0".join((path, stamp, digest)))


def _look_up(database: sqlite3.Connection, paths: list[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
    found = {}
    remaining = iter(paths)
    while asked := list(islice(remaining, _ASKED_AT_ONCE)):
        marks = ", ".join("?" * len(asked))
        rows = database.execute(f"SELECT * FROM files WHERE path IN ({marks})", asked)
        found.update({path: (stamp, digest) for path, stamp, digest in _whole(rows)})
    return found


def _everything(database: sqlite3.Connection) -> list[tuple[bytes, bytes, bytes]]:
    return list(_whole(database.execute("SELECT * FROM files")))


def _whole(rows: Iterable[Sequence[object]]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Give those rows whose checksum is right."""
    for path, stamp, digest, checksum in rows:
        if (
            isinstance(path, bytes)
            and isinstance(stamp, bytes)
            and isinstance(digest, bytes)
            and checksum == _checksum(path, stamp, digest)
        ):
            yield path, stamp, digest


def _has_changed(path: bytes, stamp: bytes, digest: bytes) -> bool:
    """Say whether a file has another content, though by its stamp it should not."""
    name = os.fsdecode(path)
    try:
        if _stamp(FileStamp.of(name)) != stamp:
            return False
        with Path(name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").digest()
        # It may have been changed while it was read, which is nobody's mistake.
        return found != digest and _stamp(FileStamp.of(name)) == stamp
    except OSError:
        return False
