"""What the cache remembers for a run beside features: files' contents, decoded images, splits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tlf.cache import Cache, Entry, FileStamp, Notes, default_directory
from tlf.engine.descriptions import own_code
from tlf.engine.environment import describe_part, library_versions
from tlf.errors import UsageError
from tlf.plugin.stages import splits_kept_in
from tlf.spec.paths import resolve_path

if TYPE_CHECKING:
    from tlf.plugin import BackboneFamily
    from tlf.registry import Registry
    from tlf.spec.model import CacheSpec

#: How many images are decoded before what is known of their files is written down.
_NOTED_AT_ONCE = 1000


class FileMemory:
    """Remembers the digests of files' contents, in the cache.

    Args:
        cache: Where.
    """

    def __init__(self, cache: Cache) -> None:
        self._digests = cache.digests
        self._new: list[tuple[FileStamp, bytes]] = []

    def recall(self, paths: Sequence[Path]) -> list[str | None]:
        """Return the digest of each file's content; None if it is not known or has changed.

        Args:
            paths: The files.
        """
        stamps = [_stamp(path) for path in paths]
        known = iter(self._digests.get([stamp for stamp in stamps if stamp is not None]))
        found = [None if stamp is None else next(known) for stamp in stamps]
        return [None if digest is None else digest.hex() for digest in found]

    def remember(self, path: Path, stat: os.stat_result, digest: str) -> None:
        """Remember the digest of a file's content.

        Args:
            path: The file.
            stat: What it was before it was read.
            digest: The sha256 of what was read, in hexadecimal.
        """
        absolute = os.path.abspath(path)  # noqa: PTH100 - links stay what they are
        stamp = FileStamp(absolute, stat.st_size, stat.st_mtime_ns, stat.st_ino)
        self._new.append((stamp, bytes.fromhex(digest)))
        if len(self._new) >= _NOTED_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write down what is new."""
        self._digests.put(self._new)
        self._new.clear()


class StoredImages:
    """Decoded images, in the cache.

    Args:
        entry: Where.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def read(self, digests: Sequence[str]) -> tuple[np.ndarray, torch.Tensor | None]:
        """Return which images are there, and those, uint8 `(n, 3, H, W)`; None if there are none.

        Args:
            digests: Of their contents.
        """
        return self.entry.read([bytes.fromhex(digest) for digest in digests])

    def add(self, digests: Sequence[str], images: torch.Tensor) -> None:
        """Keep images.

        Args:
            digests: Of their contents.
            images: Uint8 `(n, 3, H, W)`.
        """
        self.entry.add([bytes.fromhex(digest) for digest in digests], images)


class KeptSplits:
    """Remembers how networks are split into stages, in the cache.

    Args:
        notes: Where.
        registry: Knows whose code creates a network.
    """

    def __init__(self, notes: Notes, registry: Registry) -> None:
        self._notes = notes
        self._registry = registry

    def recall(self, family: BackboneFamily[Any], model: str, image_size: int) -> str | None:
        """Return what was kept of a model; None if nothing was.

        Args:
            family: Creates it.
            model: One of the family's models.
            image_size: Side of the square input image, in pixels.
        """
        about = self._about(family, model, image_size)
        return None if about is None else self._notes.get(about)

    def remember(self, family: BackboneFamily[Any], model: str, image_size: int, text: str) -> None:
        """Keep what was found out about a model.

        Args:
            family: Creates it.
            model: One of the family's models.
            image_size: Side of the square input image, in pixels.
            text: What was found out.
        """
        about = self._about(family, model, image_size)
        if about is not None:
            self._notes.put(about, text)

    def _about(
        self, family: BackboneFamily[Any], model: str, image_size: int
    ) -> dict[str, Any] | None:
        target = f"{type(family).__module__}:{type(family).__qualname__}"
        for entry in self._registry.entries("backbone-family"):
            if entry.declaration.target == target:
                name = entry.declaration.name
                return {
                    "what": "split",
                    "part": describe_part(self._registry, "backbone-family", name),
                    "options": family.options.model_dump(mode="json"),
                    "model": model,
                    "image_size": image_size,
                    "libraries": library_versions(),
                    "code": own_code(),
                }
        return None


def directory_of(spec: CacheSpec, folder: Path) -> Path | None:
    """Return the cache's folder; None if nothing is to be kept.

    Args:
        spec: The spec's section.
        folder: What relative paths in it start from.

    Raises:
        UsageError: The spec names none, and there is no usual place.
    """
    if spec.mode == "off":
        return None
    if spec.directory is None:
        return default_directory()
    return resolve_path(folder, spec.directory, "cache.directory")


@contextmanager
def splits_kept(spec: CacheSpec, folder: Path, registry: Registry) -> Iterator[None]:
    """Look in the cache for how networks are split, and keep there what is found out.

    Args:
        spec: The spec's section.
        folder: What relative paths in it start from.
        registry: The installed plugins.
    """
    try:
        directory = directory_of(spec, folder)
    except UsageError:
        # Whoever opens the cache says so.
        directory = None
    kept = None if directory is None else KeptSplits(Notes(directory / "notes"), registry)
    with splits_kept_in(kept):
        yield


def open_cache(spec: CacheSpec, folder: Path, warn: Callable[[str], None]) -> Cache | None:
    """Return the cache that a spec asks for; None if it asks for none, or there is no place for one.

    Args:
        spec: The spec's section.
        folder: What relative paths in it start from.
        warn: Told what is wrong with the cache.
    """
    try:
        directory = directory_of(spec, folder)
    except UsageError as error:
        warn(f"nothing is kept: {error.message}")
        return None
    return None if directory is None else Cache(directory, int(spec.max_gb * 1e9), warn)


def _stamp(path: Path) -> FileStamp | None:
    try:
        return FileStamp.of(path)
    except OSError:
        return None
