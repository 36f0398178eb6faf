"""Small runs, one for each strategy that there is, which take part of a second each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

#: Each with options that let it do all that it can in three epochs.
STRATEGIES: Mapping[str, Any] = {
    "auto": "auto",
    "bias-tuning": {"name": "bias-tuning", "options": {"norms": "learn"}},
    "feature-extraction": "feature-extraction",
    "from-scratch": "from-scratch",
    "full-fine-tuning": "full-fine-tuning",
    "gradual-unfreezing": "gradual-unfreezing",
    "knn": "knn",
    "l2-sp": "l2-sp",
    "lp-ft": "lp-ft",
    "norm-tuning": "norm-tuning",
    "probe": "probe",
    "robust": "robust",
    "surgical": "surgical",
}


def write_photographs(folder: Path) -> None:
    """Write two classes that differ in colour: 24 images to train on, 10 to validate on.

    Args:
        folder: Where to.
    """
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        for name, channel in (("red", 0), ("blue", 2)):
            target = folder / split / name
            target.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 120, (40, 48, 3), dtype=np.uint8)
                pixels[..., channel] += 100
                Image.fromarray(pixels).save(target / f"{index:02d}.png")


def small_specs(photographs: Path) -> dict[str, dict[str, Any]]:
    """Return a spec for each strategy, by its name.

    Args:
        photographs: What `write_photographs` wrote.
    """
    return {
        name: {
            "name": "small",
            "data": {
                "name": "image-folder",
                "options": {
                    "train": str(photographs / "train"),
                    "validation": str(photographs / "val"),
                },
            },
            "backbone": "tlf/resnet20",
            "transforms": {"name": "standard", "options": {"size": 32, "resize": 36}},
            "head": {"name": "linear", "options": {"dropout": 0.2}},
            "strategy": strategy,
            "training": {"epochs": 4, "batch_size": 8},
            "device": {"name": "cpu", "options": {"precision": "float32"}},
            "checkpoint": {"every_seconds": 0.02},
        }
        for name, strategy in STRATEGIES.items()
    }
