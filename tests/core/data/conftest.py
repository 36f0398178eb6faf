"""A small data set in memory, with a transform that does as little as possible."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tlf.plugin import Dataset, InputConfig, Item, Options, Transform, to_rgb


class Plain(Transform[Options]):
    """Loads 8 x 8 pixels; a view is shifted by a number that its generator draws."""

    def load(self, image):
        pixels = np.asarray(to_rgb(image).resize((8, 8), Image.Resampling.NEAREST))
        return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))

    def augment(self, batch, generators):
        shifts = [torch.randint(0, 256, (1,), generator=one) for one in generators]
        return (batch.int() + torch.stack(shifts)[:, :, None, None]).to(torch.uint8)


@pytest.fixture
def transform():
    return Plain(Options(), InputConfig(size=8, resize=8))


class Content:
    """What an item's `read` returns; counts how often it was called."""

    def __init__(self, content):
        self.content = content
        self.reads = 0

    def __call__(self):
        self.reads += 1
        if isinstance(self.content, BaseException):
            raise self.content
        return self.content


class Digests:
    """Remembers the digests of files' contents, for as long as a test takes."""

    def __init__(self, **known):
        self.known = known
        self.remembered = []

    def recall(self, paths):
        return [self.known.get(path.name) for path in paths]

    def remember(self, path, stat, digest):
        self.known[path.name] = digest
        self.remembered.append((path, stat, digest))


class Images:
    """Keeps decoded images, as many as there is room for, in memory."""

    def __init__(self, room=1000):
        self.room = room
        self.kept = {}

    def read(self, digests):
        there = np.array([digest in self.kept for digest in digests])
        found = [self.kept[digest] for digest in digests if digest in self.kept]
        return there, torch.stack(found) if found else None

    def add(self, digests, images):
        for digest, image in zip(digests, images, strict=True):
            if len(self.kept) < self.room:
                self.kept[digest] = image.clone()


@pytest.fixture
def digest_memory():
    return Digests()


@pytest.fixture
def image_store():
    """Return a function: a store of decoded images with room for so many."""
    return Images


def png(number):
    content = io.BytesIO()
    rng = np.random.default_rng(number)
    Image.fromarray(rng.integers(0, 256, (11, 9, 3), dtype=np.uint8)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def make_dataset():
    """Return a function: a data set of 3 classes; `spoilt` replaces contents by id.

    With a folder, its images are files there too; what counts their readings stays the same.
    """

    def make(train=12, validation=6, test=0, spoilt=None, folder=None):
        splits = {}
        number = 0
        for name, count in (("train", train), ("validation", validation), ("test", test)):
            items = []
            for index in range(count):
                identity = f"{name}/{index:02d}.png"
                content = (spoilt or {}).get(identity, png(number))
                path = None if folder is None else folder / identity.replace("/", "-")
                if path is not None and isinstance(content, bytes):
                    path.write_bytes(content)
                items.append(Item(identity, index % 3, Content(content), path))
                number += 1
            if items:
                splits[name] = items
        return Dataset(classes=("a", "b", "c"), splits=splits)

    return make
