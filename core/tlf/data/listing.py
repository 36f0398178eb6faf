"""Images without labels: the files that a user names, and those in the folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tlf.errors import DataError
from tlf.plugin.images import IMAGE_SUFFIXES, files_below, is_image_file


def list_images(paths: Iterable[Path]) -> list[Path]:
    """Return images in the order given, those of a folder sorted, before those of folders inside.

    A file that is named is taken whatever its ending; in a folder, images are known by their ending,
    and what is hidden is passed over.

    Args:
        paths: Files and folders.

    Raises:
        DataError: A path does not exist or cannot be listed, or a folder holds no image.
    """
    return [image for path in paths for image in _images_of(path)]


def _images_of(path: Path) -> list[Path]:
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise DataError(f"`{path}` does not exist", hint="give image files or folders of images")
    if not path.is_dir():
        return [path]
    found = [file for file in files_below(path) if is_image_file(file)]
    if not found:
        endings = " ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"`{path}` holds no images", hint=f"images end in {endings}")
    return found
