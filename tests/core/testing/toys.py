"""Toy plugins that keep every promise, and how a test says which one a saboteur breaks."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import nn

from tlf.plugin import (
    Availability,
    BackboneFamily,
    Dataset,
    DataSource,
    Device,
    DeviceBackend,
    InputConfig,
    Item,
    Options,
    Strategy,
    Train,
    Transform,
    to_rgb,
)


@dataclass(frozen=True)
class Saboteur:
    """A plugin that breaks one promise.

    Attributes:
        check: The check that must catch it.
        target: The class that the declaration names; None for a healthy one.
        words: What the check must say, as a regular expression.
        declared: What the declaration says differently.
    """

    check: Callable[..., None]
    target: object
    words: str
    declared: Mapping[str, object] = field(default_factory=dict)

    def __str__(self):
        what = getattr(self.target, "__name__", None) or "-".join(self.declared)
        return f"{self.check.__name__.removeprefix('check_')}-{what}"


class ToyNetwork(nn.Module):
    """About a thousand parameters in three stages, with all that has a mode."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.middle, self.middle_norm = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.2)
        self.top = nn.Conv2d(6, 6, 3, padding=1)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))

    def features(self, x):
        x = self.stem_norm(self.stem(x)).relu()
        x = self.middle_norm(self.middle(x)).relu()
        return self.top(self.drop(x))


class ToyFamily(BackboneFamily[Options]):
    network = ToyNetwork

    def models(self):
        return ["tiny"]

    def input_config(self, model):
        return InputConfig(size=8, resize=8)

    def create(self, model, image_size):
        return self.network()

    def classifier(self, network):
        return "fc"


class ToyStrategy(Strategy[Options]):
    """The head alone, then everything, if there are epochs enough."""

    def steps(self, outline, budget):
        first = max(1, budget.epochs // 2)
        steps = [Train(name="head", trainable=(outline.head,), epochs=first)]
        if budget.epochs > first:
            rest = budget.epochs - first
            everything = (*outline.body, outline.head)
            rates = dict.fromkeys(outline.body, 0.1)
            steps.append(Train(name="all", trainable=everything, epochs=rest, rates=rates))
        return steps


class ToyTransform(Transform[Options]):
    """Stretches every image to a square; mirrors at random, and makes brighter or darker."""

    def load(self, image):
        side = self.size + 8
        pixels = np.array(to_rgb(image).resize((side, side)))
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())

    def evaluate(self, batch):
        return batch[..., 4:-4, 4:-4].clone()

    def augment(self, batch, generators):
        return torch.stack(
            [
                self.vary(view, one)
                for view, one in zip(self.evaluate(batch), generators, strict=True)
            ]
        )

    def vary(self, view, generator):
        mirror, light = torch.rand(2, generator=generator).tolist()
        view = view.flip(-1) if mirror < 0.5 else view
        return (view * (0.5 + light / 2)).to(torch.uint8)


class ToyDevice(Device):
    def __init__(self):
        self.torch_device = torch.device("cpu")
        self.precision = "bfloat16"
        self.channels_last = False
        self.chunk_size = 4
        self.reason = "it is a toy"

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16)

    def synchronize(self):
        pass

    def peak_memory_bytes(self):
        return 1000


class ToyBackend(DeviceBackend[Options]):
    device = ToyDevice

    def is_available(self):
        return Availability(True, "it is always here")

    def create(self):
        return self.device()


def write_images(folder):
    """Write two classes of three images each to train on, and of two to validate on."""
    for split, count in (("train", 3), ("validation", 2)):
        for label in (0, 1):
            for number in range(count):
                path = folder / split / f"{label}-{number}.png"
                path.parent.mkdir(exist_ok=True)
                Image.new("RGB", (4, 4), (label * 200, number * 40, 0)).save(path)
    return {}


def read_pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


class ToySource(DataSource[Options]):
    """The images of `write_images`; their names say their class."""

    classes = ("dark", "red")

    def open(self):
        return Dataset(
            classes=self.classes,
            splits={name: self.items(name) for name in ("train", "validation")},
        )

    def items(self, split):
        return [self.item(split, path) for path in self.paths(self.folder / split)]

    def paths(self, folder):
        return sorted(folder.iterdir())

    def item(self, split, path):
        return Item(f"{split}/{path.name}", int(path.name[0]), self.read(path))

    def read(self, path):
        return functools.partial(read_pixels, path)


class ToyOptions(Options):
    width: int = 1


#: The healthy toy of each kind, and what its declaration says besides.
HEALTHY = {
    "backbone-family": (ToyFamily, {"name": "toy", "example_models": ("tiny",)}),
    "data-source": (ToySource, {"example_files": "tlf_toy:write"}),
    "device": (ToyBackend, {}),
    "strategy": (ToyStrategy, {}),
    "transform": (ToyTransform, {}),
}
