"""A small data set, for the contract tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

_COLOURS = {"dusk": (40, 30, 90), "meadow": (60, 150, 50)}


def write_example(folder: Path) -> Mapping[str, object]:
    """Write a table of a few plain images with groups, and return the options that read it.

    Args:
        folder: An empty folder.
    """
    lines = ["path,label,group"]
    for name, colour in _COLOURS.items():
        for number in range(6):
            path = folder / f"{name}-{number}.png"
            brighter = tuple(value + 10 * number for value in colour)
            Image.new("RGB", (40 + number, 36), brighter).save(path)
            # Each two were taken one after the other.
            lines.append(f"{path.name},{name},{name} {number // 2}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"file": "labels.csv"}
