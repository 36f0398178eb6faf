"""Small texts that were made once: what was found out about an architecture, say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tlf.cache.files import write_whole


class Notes:
    """Texts by what they are about, in a folder. Whatever is wrong with one, it is not there.

    Args:
        folder: Made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, about: Mapping[str, Any]) -> str | None:
        """Return a text; None if it is not there or damaged.

        Args:
            about: What it is about: plain data.
        """
        try:
            digest, _, text = self._path(about).read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return None
        return text if digest == _digest_of(text) else None

    def put(self, about: Mapping[str, Any], text: str) -> None:
        """Keep a text, if it can be written.

        Args:
            about: What it is about: plain data.
            text: The text.
        """
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(about), [f"{_digest_of(text)}\n{text}".encode()])

    def clear(self) -> int:
        """Remove all texts, and return how many bytes that has freed."""
        freed = 0
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            with suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                freed += size
        return freed

    def _path(self, about: Mapping[str, Any]) -> Path:
        return self._folder / f"{_digest_of(json.dumps(about, sort_keys=True))}.txt"


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
