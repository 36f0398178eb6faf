"""The folders of entries: their names, their descriptions, their sizes, and how they go."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlf.cache.files import write_whole
from tlf.cache.segment import SCHEMA_VERSION, SUFFIX, DamagedError

DESCRIPTION = "entry.json"
USED = "used"

#: What a dead process left is removed after this many seconds; until then it may be alive.
LEFTOVER_SECONDS = 3600.0

_ENTRY = re.compile(r"[0-9a-f]{64}")
_REMOVED = ".removed-"


@dataclass(frozen=True)
class Usage:
    """What an entry takes, and when it was last used.

    Attributes:
        folder: The entry's folder.
        bytes: Of all its files.
        last_used: In seconds since 1970.
    """

    folder: Path
    bytes: int
    last_used: float


def plain(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description as it is when it was written as JSON and read again.

    Args:
        description: Plain data.

    Raises:
        ValueError: It is no plain data. So does TypeError.
    """
    found: dict[str, Any] = json.loads(json.dumps(dict(description), allow_nan=False))
    return found


def key_of(description: Mapping[str, Any], version: object = SCHEMA_VERSION) -> str:
    """Return the key of an entry: what its folder is called.

    Args:
        description: As it was written.
        version: Of the format, so that another version of it never meets this one's files.
    """
    value = {"schema_version": version, "description": description}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def entry_folder(folder: Path, key: str) -> Path:
    """Return the folder of an entry.

    Args:
        folder: The cache's.
        key: The entry's.
    """
    return folder / "entries" / key[:2] / key


def entry_folders(folder: Path) -> list[Path]:
    """Return the folders of all entries, in the order of their keys.

    Args:
        folder: The cache's.
    """
    return [
        path
        for group in sorted(_listed(folder / "entries"))
        for path in sorted(_listed(group))
        if _ENTRY.fullmatch(path.name) and path.name.startswith(group.name) and path.is_dir()
    ]


def reason_of(error: Exception) -> str:
    """Return in a few words what was wrong with a file.

    Args:
        error: What arose.
    """
    return ((isinstance(error, OSError) and error.strerror) or str(error) or repr(error)).lower()


def segment_paths(folder: Path) -> list[Path]:
    """Return the files of rows of an entry, in the order of their names.

    Args:
        folder: The entry's.
    """
    return sorted(
        path
        for path in _listed(folder)
        if path.name.endswith(SUFFIX) and not path.name.startswith(".")
    )


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Make the folder of an entry and say in it what it is.

    Args:
        folder: The entry's.
        description: What made its rows.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / DESCRIPTION).is_file():
        write_whole(folder / DESCRIPTION, [description_text(description)])
    (folder / USED).touch()


def description_text(description: Mapping[str, Any]) -> bytes:
    """Return what is written of a description.

    Args:
        description: Plain data.
    """
    value = {"schema_version": SCHEMA_VERSION, "description": description}
    return (json.dumps(value, indent=2) + "\n").encode()


def read_description(folder: Path) -> dict[str, Any] | None:
    """Return what an entry is; None if nothing is stored there, as when it is only being made.

    Args:
        folder: The entry's.

    Raises:
        DamagedError: It has rows but does not say what it is, or what it says has changed.
        OSError: It cannot be read.
    """
    # Another process may be filling the folder. The description is written before any rows: whoever
    # looks for it first and for rows then may find none, and the rows that have come meanwhile.
    has_rows = bool(segment_paths(folder))
    try:
        value = json.loads((folder / DESCRIPTION).read_bytes())
        description, version = value["description"], value["schema_version"]
        same = len(value) == 2 and key_of(description, version) == folder.name
    except FileNotFoundError as error:
        if not has_rows:
            return None
        raise DamagedError(f"{DESCRIPTION} is missing") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"{DESCRIPTION} is unreadable") from error
    if not same or not isinstance(description, dict):
        raise DamagedError(f"{DESCRIPTION} has changed")
    return description


def usage_of(folder: Path) -> Usage:
    """Return what an entry takes.

    Args:
        folder: The entry's.
    """
    last_used = _time_of_change(folder / USED) or _time_of_change(folder)
    return Usage(folder, folder_size(folder), last_used)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder.

    Args:
        folder: The folder.
    """
    return sum(_size(Path(parent, name)) for parent, _, names in os.walk(folder) for name in names)


def touch(folder: Path, seconds: float) -> None:
    """Mark an entry as used, unless it was marked a short while ago or may not be written to.

    Args:
        folder: The entry's.
        seconds: How long a while is.
    """
    with suppress(OSError):
        if time.time() - (folder / USED).stat().st_mtime > seconds:
            os.utime(folder / USED)


def remove_entry(folder: Path) -> int:
    """Remove an entry and return how many bytes that has freed.

    Args:
        folder: The entry's.
    """
    size = folder_size(folder)
    # Moved away first: whoever opens the entry meanwhile finds it whole or not at all.
    moved = folder.with_name(f"{_REMOVED}{folder.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        folder.rename(moved)
    except OSError:
        # Windows moves no folder with an open file in it.
        moved = folder
    shutil.rmtree(moved, ignore_errors=True)
    return size - folder_size(moved)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes left behind that died while they were writing or removing.

    Args:
        folder: The cache's.
    """
    oldest = time.time() - LEFTOVER_SECONDS
    for path in _leftovers(folder):
        if _time_of_change(path) < oldest:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


def _leftovers(folder: Path) -> Iterator[Path]:
    for group in _listed(folder / "entries"):
        for path in _listed(group):
            if path.name.startswith(_REMOVED):
                yield path
            elif _ENTRY.fullmatch(path.name):
                yield from (
                    file
                    for file in _listed(path)
                    if file.name.startswith(".") and file.name.endswith(".tmp")
                )


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _time_of_change(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
