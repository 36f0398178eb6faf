"""scikit-learn's handwritten digits, split so that a few of them can be learned from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tlf.plugin import Dataset, DataSource, Item
from tlf_builtin.digits.options import DigitsOptions

#: The images from here on are the test split. The order of the digits starts anew about every 130
#: images, 14 times for 13 writers, and here too: so at most one writer is in both parts.
FIRST_TEST_IMAGE = 1029
#: How many images of each digit are held out of those before, to choose by.
VALIDATION_IMAGES = 10


class Digits(DataSource[DigitsOptions]):
    """Handwritten digits of 8×8 pixels, 0 to 9: a train, a validation and a test split.

    `sklearn.datasets.load_digits`, which are the test set of Alpaydin and Kaynak's "Optical
    Recognition of Handwritten Digits", 1998 (https://doi.org/10.24432/C50P49).
    """

    def open(self) -> Dataset:
        """Return the digits. Nothing is downloaded: they are part of scikit-learn."""
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        # 16 shades in the original; white on black, like MNIST.
        pixels = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        items = [
            Item(id=f"{index:04d}", label=int(label), read=_Read(image))
            for index, (image, label) in enumerate(zip(pixels, labels, strict=True))
        ]
        by_digit: Mapping[int, list[Item]] = defaultdict(list)
        for item in items[:FIRST_TEST_IMAGE]:
            by_digit[item.labels[0]].append(item)
        train = [item for digit in sorted(by_digit) for item in self._draw(by_digit[digit])]
        validation = [
            item for digit in sorted(by_digit) for item in by_digit[digit][:VALIDATION_IMAGES]
        ]
        return Dataset(
            classes=tuple("0123456789"),
            splits={
                "train": train,
                "validation": validation,
                "test": items[FIRST_TEST_IMAGE:],
            },
        )

    def _draw(self, items: list[Item]) -> list[Item]:
        pool = items[VALIDATION_IMAGES:]
        generator = np.random.default_rng([self.options.seed, pool[0].labels[0]])
        order = generator.permutation(len(pool))[: self.options.shots]
        return [pool[index] for index in sorted(order)]


class _Read:
    """Returns an image's pixels."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels

    def __call__(self) -> np.ndarray:
        return self._pixels


def write_example(folder: Path) -> Mapping[str, object]:  # noqa: ARG001
    """Return options that read a few digits; no files are needed.

    Args:
        folder: An empty folder, which stays so.
    """
    return {"shots": 2}
