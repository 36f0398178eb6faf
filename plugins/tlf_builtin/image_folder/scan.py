"""What a folder holds: classes, their images, and what is neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tlf.errors import DataError, did_you_mean
from tlf.plugin.images import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Scan:
    """What a folder holds. Hidden files and folders are not there at all.

    Attributes:
        folder: The folder.
        images: By class, sorted; those of the folders inside a class are the class's.
        loose: Images that lie in no class.
        others: Files that are no images by name.
    """

    folder: Path
    images: dict[str, tuple[Path, ...]]
    loose: tuple[Path, ...]
    others: tuple[Path, ...]


def scan(folder: Path) -> Scan:
    """List a folder's classes and images, in a fixed order.

    Args:
        folder: Holds a folder for each class.

    Raises:
        DataError: It is not there, is no folder, or may not be read.
    """
    check_folder(folder)
    names, files = _entries(folder)
    inside = {name: tuple(_walk(folder / name, set())) for name in names}
    everything = (*files, *(path for paths in inside.values() for path in paths))
    return Scan(
        folder=folder,
        images={name: tuple(filter(is_image, paths)) for name, paths in inside.items()},
        loose=tuple(filter(is_image, files)),
        others=tuple(path for path in everything if not is_image(path)),
    )


def check_folder(folder: Path) -> None:
    """Check that a folder is there.

    Args:
        folder: The folder.

    Raises:
        DataError: It is not, or is a file.
    """
    if folder.is_dir():
        return
    if folder.exists():
        raise DataError(
            f"`{folder}` is a file, and a folder with a folder for each class is needed"
        )
    there = next(parent for parent in folder.parents if parent.is_dir())
    missing = folder.relative_to(there).parts[0]
    siblings, _ = _entries(there)
    raise DataError(
        f"the folder `{folder}` does not exist: there is no `{missing}` in `{there}`",
        hint=did_you_mean(missing, siblings) or "relative paths start at the spec file's folder",
    )


def is_image(path: Path) -> bool:
    """Say whether a file is an image by its name, and can be read without waiting for somebody.

    Args:
        path: The file. A link that leads nowhere counts: reading it will say so.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    return path.is_symlink() or path.is_file()


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    # Links may lead in circles, so a folder is visited once, whatever it is called.
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    names, files = _entries(folder)
    yield from files
    for name in names:
        yield from _walk(folder / name, seen)


def _entries(folder: Path) -> tuple[list[str], list[Path]]:
    """Return the names of the folders in a folder, and the files, both sorted."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(
            f"`{folder}` cannot be read ({(error.strerror or str(error)).lower()})",
            hint="make sure that you may read the folder and what is in it",
        ) from error
    return [path.name for path in paths if path.is_dir()], [
        path for path in paths if not path.is_dir()
    ]
