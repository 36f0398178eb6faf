"""Pictures that differ as photographs do, and data sets made of them."""

import io

import numpy as np
from PIL import Image

from tlf.plugin import Dataset, Item


def picture(number, size=(60, 48)):
    """A picture of soft colours, another one for each number."""
    coarse = np.random.default_rng(number).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


class Content:
    """What an item's `read` returns."""

    def __init__(self, content):
        self.content = content

    def __call__(self):
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


def dataset(changes=None, train=(10, 10), validation=(3, 3), classes=("cat", "dog")):
    """Pictures without a fault; `changes` puts other contents in place, by id."""
    splits = {}
    number = 0
    for split, counts in (("train", train), ("validation", validation)):
        splits[split] = []
        for label, count in enumerate(counts):
            for index in range(count):
                identity = f"{split}/{classes[label]}/{index}"
                number += 1
                content = (changes or {}).get(identity, encoded(picture(number)))
                splits[split].append(Item(identity, label, Content(content)))
    return Dataset(classes, splits)
