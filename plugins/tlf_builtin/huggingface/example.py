"""A small data set that `save_to_disk` has written, for the contract tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image


def write_example(folder: Path) -> Mapping[str, object]:
    """Write a few plain images, and return the options that read them.

    Args:
        folder: An empty folder.
    """
    import datasets

    colours = {"dusk": (40, 30, 90), "meadow": (60, 150, 50)}
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(colours))}
    )
    splits = {}
    for split, count, shift in (("train", 4, 0), ("test", 2, 5)):
        images, labels = [], []
        for label, colour in enumerate(colours.values()):
            for number in range(count):
                brighter = tuple(value + shift + 10 * number for value in colour)
                images.append(Image.new("RGB", (40 + number, 36), brighter))
                labels.append(label)
        splits[split] = datasets.Dataset.from_dict(
            {"image": images, "label": labels}, features=features
        )
    were_disabled = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        datasets.DatasetDict(splits).save_to_disk(str(folder / "plain"))
    finally:
        if not were_disabled:
            datasets.enable_progress_bars()
    return {"path": "plain"}
