"""Training on a few images of each class, the few among the many."""

from __future__ import annotations

import hashlib
import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from tlf.errors import DataError
from tlf.plugin import Dataset, Item


def keep_shots(dataset: Dataset, *, shots: int, seed: int) -> Dataset:
    """Return a data set with so many images of each class to train on, and a note on the others.

    What is left out of `train` is in no split.

    Args:
        dataset: Has images of every class in `train`.
        shots: How many images of each class are left.
        seed: Draws which.

    Raises:
        DataError: A class has fewer.
    """
    train = dataset.splits["train"]
    by_class = [[item for item in train if item.label == n] for n in range(len(dataset.classes))]
    _check_enough(dataset.classes, by_class, shots)
    # Below what all share, so that it does not matter where the folder lies and what it is called.
    start = len(posixpath.commonpath([item.id for item in train]))
    names = {item.id: item.id[start:].lstrip("/") for item in train}
    kept = {one for items in by_class for one in _drawn(items, names, shots, seed)}
    left_out = len(train) - len(kept)
    if not left_out:
        return dataset
    note = (
        f"left out {left_out} image{'' if left_out == 1 else 's'} of train: "
        f"`shots` takes {shots} of each class"
    )
    few = [item for item in train if item.id in kept]
    return replace(dataset, splits={**dataset.splits, "train": few}, notes=(*dataset.notes, note))


def _drawn(items: Sequence[Item], names: dict[str, str], shots: int, seed: int) -> list[str]:
    # As in a split, every image has a place on a line, so the first few are among the first many.
    line = sorted((item.id for item in items), key=lambda one: _place(seed, names[one]))
    return line[:shots]


def _place(seed: int, name: str) -> bytes:
    # Another line than the split's of the same seed: its first images are all held out. One system
    # writes an accented letter as one character, another as two.
    text = f"shots/{seed}/{unicodedata.normalize('NFC', name)}"
    return hashlib.sha256(text.encode()).digest()


def _check_enough(classes: Sequence[str], by_class: Sequence[Sequence[Item]], shots: int) -> None:
    least = min(range(len(classes)), key=lambda n: len(by_class[n]))
    count = len(by_class[least])
    if count < shots:
        raise DataError(
            f"the class `{classes[least]}` has {count} image{'' if count == 1 else 's'} to train "
            f"on, fewer than `shots` {shots}",
            hint=f"set `data.options.shots` to {count} or less, or add images of the class",
        )
