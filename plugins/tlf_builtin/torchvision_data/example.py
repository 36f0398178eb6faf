"""A small data set in the format of one that torchvision reads, for the contract tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_example(folder: Path) -> Mapping[str, object]:
    """Write a few digits in the format of MNIST, and return the options that read them.

    Args:
        folder: An empty folder.
    """
    write_mnist(folder / "data", {"train": 50, "t10k": 20})
    return {"dataset": "mnist", "root": "data"}


def write_mnist(root: Path, counts: Mapping[str, int]) -> None:
    """Write images of 28×28 pixels, 10 classes in turn, as MNIST's files hold them.

    Args:
        root: What torchvision calls so.
        counts: Number of images by prefix of the file: `train` and `t10k`.
    """
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for prefix, count in counts.items():
        labels = np.arange(count, dtype=np.uint8) % 10
        images = generator.integers(0, 100, (count, 28, 28), dtype=np.uint8)
        images[np.arange(count), 2 * labels.astype(int)] = 255
        # The idx format: two zeros, 8 for unsigned bytes, how many dimensions, and these.
        for name, array in ((f"{prefix}-images-idx3", images), (f"{prefix}-labels-idx1", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (raw / f"{name}-ubyte").write_bytes(header + array.tobytes())
