"""What a folder holds: classes, their images, and what is neither."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tlf.errors import DataError, did_you_mean
from tlf.plugin.images import files_below, is_image_file, list_folder


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
    classes, files = list_folder(folder)
    inside = {path.name: tuple(files_below(path)) for path in classes}
    everything = (*files, *(path for paths in inside.values() for path in paths))
    return Scan(
        folder=folder,
        images={name: tuple(filter(is_image_file, paths)) for name, paths in inside.items()},
        loose=tuple(filter(is_image_file, files)),
        others=tuple(path for path in everything if not is_image_file(path)),
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
    siblings = [path.name for path in list_folder(there)[0]]
    raise DataError(
        f"the folder `{folder}` does not exist: there is no `{missing}` in `{there}`",
        hint=did_you_mean(missing, siblings) or "relative paths start at the spec file's folder",
    )
