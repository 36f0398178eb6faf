"""Splitting the images of one class so that the split hardly changes when images are added."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence


def split_class(
    paths: Sequence[str], *, validation_fraction: float, test_fraction: float, seed: int
) -> dict[str, list[str]]:
    """Return the images of each split, each in the order of `paths`.

    Every image has a place on a line that is a function of the seed and its own path. Validation
    takes a share from one end of the line and test from the other. So one image more moves at most
    one other at each border, and another fraction of one of the two changes nothing in the other.

    Args:
        paths: Of the images of one class, at least 2.
        validation_fraction: Share that validation gets, rounded, but at least one image.
        test_fraction: Share that test gets, rounded. One image at least is left to train on.
        seed: Draws the line.
    """
    count = len(paths)
    held_out = min(max(1, round(validation_fraction * count)), count - 1)
    kept_back = min(round(test_fraction * count), count - held_out - 1)
    line = sorted(paths, key=lambda path: _place(seed, path))
    validation = set(line[:held_out])
    test = set(line[count - kept_back :])
    return {
        "train": [path for path in paths if path not in validation and path not in test],
        "validation": [path for path in paths if path in validation],
        "test": [path for path in paths if path in test],
    }


def _place(seed: int, path: str) -> bytes:
    # One system writes an accented letter as one character, another as two.
    text = f"{seed}/{unicodedata.normalize('NFC', path)}"
    return hashlib.sha256(text.encode()).digest()
