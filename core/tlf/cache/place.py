"""Where the cache lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tlf.errors import UsageError

#: Names the cache's folder, whatever the system.
VARIABLE = "TLF_CACHE_DIR"


def default_directory() -> Path:
    """Return the cache's folder: `$TLF_CACHE_DIR`, or else where the system keeps caches.

    Raises:
        UsageError: Neither is known.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    try:
        return _of_the_system()
    except RuntimeError as error:
        raise UsageError(
            "there is no place for the cache: your home directory is not known",
            hint=f"name a folder in the environment variable `{VARIABLE}`",
        ) from error


def _of_the_system() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tlf"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "tlf" / "cache"
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # The standard says to pass over a relative one.
    return (Path(shared) if Path(shared).is_absolute() else Path.home() / ".cache") / "tlf"
