"""What runs in tests are small by: tiny photographs, a spec of them, and a sudden end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import tlf


def write_photographs(folder: Path, counts: Mapping[str, int], seed: int) -> None:
    """Write photographs of 40 by 48 pixels, of two classes that differ in colour.

    Args:
        folder: Where to.
        counts: How many of each class, by split.
        seed: Draws them.
    """
    generator = np.random.default_rng(seed)
    for split, count in counts.items():
        for name, channel in (("red", 0), ("blue", 2)):
            target = folder / split / name
            target.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 120, (40, 48, 3), dtype=np.uint8)
                pixels[..., channel] += 100
                Image.fromarray(pixels).save(target / f"{index:02d}.png")


def spec_of(photographs: Path, **sections: Any) -> dict[str, Any]:
    """Return a spec of photographs of 32 pixels that are in `train` and `val`.

    Args:
        photographs: The folder.
        sections: All that the spec says besides, or otherwise.
    """
    folders = {"train": "train", "validation": "val"}
    return {
        "name": "small",
        "data": {
            "name": "image-folder",
            "options": {split: str(photographs / name) for split, name in folders.items()},
        },
        "transforms": {"name": "standard", "options": {"size": 32, "resize": 36}},
        "training": {"epochs": 1, "batch_size": 8},
        "device": {"name": "cpu", "options": {"precision": "float32"}},
        **sections,
    }


class Dies(tlf.Listener):
    """Ends a run after so many batches, and gives it no time to save anything."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def batch_finished(self, epoch: int, images: int, loss: float) -> None:
        """Count the batch, and end the run if it is the last."""
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
