"""A small data set, for the contract tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

#: Colour of each class of the example.
_COLOURS = {"dusk": (40, 30, 90), "meadow": (60, 150, 50)}


def write_example(folder: Path) -> Mapping[str, object]:
    """Write two classes of a few plain images, split, and return the options that read them.

    Args:
        folder: An empty folder.
    """
    # No image of one split is in the other.
    for split, count, shift in (("train", 4, 0), ("val", 2, 5)):
        for name, colour in _COLOURS.items():
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                brighter = tuple(value + shift + 10 * number for value in colour)
                image = Image.new("RGB", (40 + number, 36), brighter)
                image.save(place / f"{name}-{number}.png")
    return {"train": "train", "validation": "val"}
