"""Images without labels: the files that a user names, and those in the folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tlf.errors import DataError
from tlf.plugin.images import IMAGE_SUFFIXES


def list_images(paths: Iterable[Path]) -> list[Path]:
    """Return images in the order given, those of a folder and the folders inside it sorted.

    A file that is named is taken whatever its ending; in a folder, images are known by their ending,
    and what is hidden is passed over.

    Args:
        paths: Files and folders.

    Raises:
        DataError: A path does not exist or cannot be listed, or a folder holds no image.
    """
    return [image for path in paths for image in _images_of(path)]


def _images_of(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"`{path}` does not exist", hint="give image files or folders of images")
    if not path.is_dir():
        return [path]
    found = list(_walk(path, set()))
    if not found:
        endings = " ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"`{path}` holds no images", hint=f"images end in {endings}")
    return found


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    # A link may lead back to where it is.
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"`{folder}` cannot be read ({reason})") from error
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry, seen)
        elif entry.suffix.lower() in IMAGE_SUFFIXES and (entry.is_file() or entry.is_symlink()):
            yield entry
