"""Toys: the smallest plugin of each kind that keeps every promise, with a network to try others on.

They are what the contract kit runs strategies and observers on, and a start for an author's own tests.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from tlf.plugin import (
    Availability,
    BackboneFamily,
    Budget,
    Dataset,
    DataSource,
    Device,
    DeviceBackend,
    EpochFinished,
    InputConfig,
    Item,
    Observer,
    Options,
    Outline,
    RunFinished,
    RunStarted,
    Solve,
    Strategy,
    Train,
    Transform,
    to_rgb,
)


class ToyNetwork(nn.Module):
    """About a thousand parameters in three stages, with all that has a mode. `(N, 3, 8, 8)`, say.

    The stages are called as those of the outlines on which the kit tries strategies: `blocks.0` to
    `blocks.2`, so that options which name stages can be tried on both.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
            nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
            nn.Sequential(nn.Dropout(0.2), nn.Conv2d(6, 6, 3, padding=1)),
        )
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits `(N, 4)`.

        Args:
            x: Images `(N, 3, H, W)`, normalised.
        """
        logits: torch.Tensor = self.fc(self.blocks(x).mean((2, 3)))
        return logits


class ToyFamily(BackboneFamily[Options]):
    """The family `toy`, with the network `tiny`."""

    network: type[nn.Module] = ToyNetwork

    def models(self) -> Sequence[str]:
        """Return the one name."""
        return ["tiny"]

    def input_config(self, model: str, *, default_weights: bool = True) -> InputConfig:  # noqa: ARG002
        """Return the size of the tiny images.

        Args:
            model: The one model.
            default_weights: There are none.
        """
        return InputConfig(size=8, resize=8)

    def create(self, model: str, image_size: int) -> nn.Module:  # noqa: ARG002
        """Create the network.

        Args:
            model: The one model.
            image_size: Any.
        """
        return self.network()

    def classifier(self, network: nn.Module) -> str | None:  # noqa: ARG002
        """Return the name of the last layer.

        Args:
            network: What `create` returned.
        """
        return "fc"


class ToyStrategy(Strategy[Options]):
    """The head alone, then everything, if there are epochs enough."""

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Train]:
        """Return one step or two.

        Args:
            outline: The network.
            budget: What may be spent.
        """
        first = max(1, budget.epochs // 2)
        steps = [Train(name="head", trainable=(outline.head,), epochs=first)]
        if budget.epochs > first:
            rest = budget.epochs - first
            everything = (*outline.body, outline.head)
            rates = dict.fromkeys(outline.body, 0.1)
            steps.append(Train(name="all", trainable=everything, epochs=rest, rates=rates))
        return steps


class ToySolver(Strategy[Options]):
    """The head solved for, then everything: a step without epochs, and one with all of them."""

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Solve | Train]:
        """Return the two steps.

        Args:
            outline: The network.
            budget: What may be spent.
        """
        everything = (*outline.body, outline.head)
        return [
            Solve(name="probe"),
            Train(name="all", trainable=everything, epochs=budget.epochs),
        ]


class ToyTransform(Transform[Options]):
    """Stretches every image to a square; mirrors at random, and makes brighter or darker."""

    def load(self, image: Image.Image) -> torch.Tensor:
        """Return the stretched image, uint8 `(3, H, W)`.

        Args:
            image: In any mode.
        """
        side = self.size + 8
        pixels = np.array(to_rgb(image).resize((side, side)))
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())

    def evaluate(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the middle.

        Args:
            batch: What `load` returned, uint8 `(N, 3, H, W)`.
        """
        return batch[..., 4:-4, 4:-4].clone()

    def augment(self, batch: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Return a random view of each.

        Args:
            batch: What `load` returned, uint8 `(N, 3, H, W)`.
            generators: One for each item.
        """
        views = zip(self.evaluate(batch), generators, strict=True)
        return torch.stack([self.vary(view, generator) for view, generator in views])

    def vary(self, view: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a view mirrored or not, and as bright or darker.

        Args:
            view: Uint8 `(3, size, size)`.
            generator: Draws how.
        """
        mirror, light = torch.rand(2, generator=generator).tolist()
        view = view.flip(-1) if mirror < 0.5 else view
        darker: torch.Tensor = view * (0.5 + light / 2)
        return darker.to(torch.uint8)


class ToyDevice(Device):
    """The processor in bfloat16."""

    def __init__(self) -> None:
        self.torch_device = torch.device("cpu")
        self.precision = "bfloat16"
        self.channels_last = False
        self.chunk_size = 4
        self.reason = "it is a toy"

    def autocast(self) -> torch.autocast:
        """Return the context."""
        return torch.autocast("cpu", dtype=torch.bfloat16)

    def synchronize(self) -> None:
        """Wait for nothing: the processor is done when a call returns."""

    def peak_memory_bytes(self) -> int:
        """Return a number."""
        return 1000


class ToyBackend(DeviceBackend[Options]):
    """A device that is always here."""

    device: type[Device] = ToyDevice

    def is_available(self) -> Availability:
        """Say yes."""
        return Availability(True, "it is always here")

    def create(self) -> Device:
        """Return the device."""
        return self.device()


def write_images(folder: Path) -> Mapping[str, object]:
    """Write two classes of images of 8 by 8 pixels: six of each to train on, two to validate on.

    Args:
        folder: An empty folder.

    Returns:
        The options with which `ToySource` reads them: none.
    """
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("validation", 2)):
        (folder / split).mkdir()
        for label in (0, 1):
            for number in range(count):
                pixels = generator.integers(0, 60, (8, 8, 3), dtype=np.uint8)
                pixels[..., 0] += np.uint8(label * 180)
                Image.fromarray(pixels).save(folder / split / f"{label}-{number}.png")
    return {}


def read_pixels(path: Path) -> np.ndarray:
    """Return the pixels of an image file, uint8 `(H, W, 3)`.

    Args:
        path: The file.
    """
    with Image.open(path, formats=["PNG"]) as image:
        return np.asarray(image)


class ToySource(DataSource[Options]):
    """The images of `write_images`; their names say their class."""

    classes: tuple[str, ...] = ("dark", "red")

    def open(self) -> Dataset:
        """List the images."""
        return Dataset(
            classes=self.classes,
            splits={name: self.items(name) for name in ("train", "validation")},
        )

    def items(self, split: str) -> list[Item]:
        """Return the items of a split.

        Args:
            split: Its name.
        """
        return [self.item(split, path) for path in self.paths(self.folder / split)]

    def paths(self, folder: Path) -> list[Path]:
        """Return the files in a folder, sorted.

        Args:
            folder: The folder.
        """
        return sorted(folder.iterdir())

    def item(self, split: str, path: Path) -> Item:
        """Return the item of a file.

        Args:
            split: Its split.
            path: The file.
        """
        return Item(f"{split}/{path.name}", int(path.name[0]), self.read(path))

    def read(self, path: Path) -> functools.partial[np.ndarray]:
        """Return what reads a file.

        Args:
            path: The file.
        """
        return functools.partial(read_pixels, path)


class ToyObserver(Observer[Options]):
    """Writes a line an epoch into a file of its own in the run directory."""

    file: Path

    def run_started(self, event: RunStarted) -> None:
        """Note where the file goes.

        Args:
            event: What is known of the run.
        """
        self.file = event.directory / "toy.txt"

    def epoch_finished(self, event: EpochFinished) -> None:
        """Write the line of an epoch.

        Args:
            event: What it came to.
        """
        with self.file.open("a") as file:
            file.write(f"{event.epoch} {event.validation['loss']}\n")

    def run_finished(self, event: RunFinished) -> None:
        """Write the last line.

        Args:
            event: What the run came to.
        """
        with self.file.open("a") as file:
            file.write(f"{event.error or 'done'}\n")
