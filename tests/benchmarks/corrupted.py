"""Evaluation images that are damaged: by noise, blur, low contrast and JPEG's compression.

Each as ImageNet-C's severity 3 (Hendrycks and Dietterich, 2019, https://arxiv.org/abs/1903.12261) has
it, made by torchvision. What is damaged is the square that the run's transform keeps of an image, so
the damage is done to the pixels that the network sees and not resized away.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F  # noqa: N812 - what torchvision calls it

import tlf
from tlf.plugin import InputConfig
from tlf_builtin.standard.options import StandardOptions
from tlf_builtin.standard.transform import Standard

NOISE_SIGMA = 0.18
#: In pixels, of photographs at 224 and of digits at 64: those are enlarged from 28 pixels, so a blur
#: that is narrower in proportion would leave them as they are.
BLUR_SIGMA = 3.0
CONTRAST_FACTOR = 0.2
JPEG_QUALITY = 15

CLEAN = "clean"


class EvaluationImages:
    """The images of a folder, a subfolder a class, as they are and damaged in each way.

    Args:
        folder: The folder.
        of_each_class: How many of each class are taken; all if it is None.
    """

    def __init__(self, folder: Path, of_each_class: int | None = None) -> None:
        self.folder = folder
        self.paths = chosen(folder, of_each_class)
        self._made: dict[str, dict[str, list[np.ndarray]]] = {}

    def accuracies(self, directory: Path) -> dict[str, Any]:
        """Return a run's accuracy on the images, clean and damaged in each way.

        `differ` counts the clean images that are now given another class than the run wrote down.

        Args:
            directory: Of the run.
        """
        predictor = tlf.load(directory)
        plan = json.loads((directory / "plan.json").read_text(encoding="utf-8"))
        labels = [path.parent.name for path in self.paths]
        accuracies: dict[str, Any] = {}
        differ = 0
        for kind, images in self._images(plan["transforms"]).items():
            predicted = [one.label for one in predictor.predict(images, top=1)]
            right = sum(one == label for one, label in zip(predicted, labels, strict=True))
            accuracies[kind] = round(right / len(labels), 6)
            if kind == CLEAN:
                written = written_predictions(directory)
                names = [
                    f"{self.folder.name}/{path.parent.name}/{path.name}" for path in self.paths
                ]
                pairs = zip(names, predicted, strict=True)
                differ = sum(written[name] != label for name, label in pairs)
        return {**accuracies, "differ": differ}

    def _images(self, transform: Mapping[str, Any]) -> dict[str, list[np.ndarray]]:
        """Return the images of each kind, which are made once for a transform."""
        key = json.dumps(transform, sort_keys=True)
        if key not in self._made:
            clean = [square(path, transform["options"]) for path in self.paths]
            made = {CLEAN: clean}
            for kind, damage in DAMAGES.items():
                made[kind] = [
                    damaged(image, damage, seed_of(path))
                    for image, path in zip(clean, self.paths, strict=True)
                ]
            self._made[key] = {
                kind: [image.permute(1, 2, 0).numpy() for image in images]
                for kind, images in made.items()
            }
        return self._made[key]


def chosen(folder: Path, of_each_class: int | None) -> list[Path]:
    """Return the images of a folder; of each class so many, by the digests of their names."""
    paths = []
    for subfolder in sorted(path for path in folder.iterdir() if path.is_dir()):
        drawn = sorted(subfolder.iterdir(), key=digest)[:of_each_class]
        paths += sorted(drawn)
    return paths


def digest(path: Path) -> str:
    """Return the digest of an image's class and name, wherever the folder lies."""
    return hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).hexdigest()


def seed_of(path: Path) -> int:
    """Return the seed of an image's noise: the same for every run on every machine."""
    return int(digest(path)[:8], 16)


def square(path: Path, options: Mapping[str, Any]) -> torch.Tensor:
    """Return what the transform `standard` keeps of an image: uint8 `(3, resize, resize)`.

    Args:
        path: Of the image.
        options: Of the transform, none left open.
    """
    transform = Standard(StandardOptions(**options), InputConfig())
    with Image.open(path) as image:
        return transform.load(image)


def damaged(
    image: torch.Tensor, damage: Callable[[torch.Tensor], torch.Tensor], seed: int
) -> torch.Tensor:
    """Return a damaged image; what chance there is in it comes from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return damage(image)


def noise(image: torch.Tensor) -> torch.Tensor:
    """Add Gaussian noise to every value."""
    noisy: torch.Tensor = F.gaussian_noise(image, sigma=NOISE_SIGMA)
    return noisy


def blur(image: torch.Tensor) -> torch.Tensor:
    """Blur by a Gaussian, which is cut off three standard deviations away."""
    size = 2 * math.ceil(3 * BLUR_SIGMA) + 1
    blurred: torch.Tensor = F.gaussian_blur(image, [size, size], [BLUR_SIGMA, BLUR_SIGMA])
    return blurred


def contrast(image: torch.Tensor) -> torch.Tensor:
    """Take most of the contrast away."""
    flat: torch.Tensor = F.adjust_contrast(image, CONTRAST_FACTOR)
    return flat


def jpeg(image: torch.Tensor) -> torch.Tensor:
    """Compress and decompress."""
    compressed: torch.Tensor = F.jpeg(image, JPEG_QUALITY)
    return compressed


#: By what the tables call them.
DAMAGES: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "noise": noise,
    "blur": blur,
    "contrast": contrast,
    "JPEG": jpeg,
}


def written_predictions(directory: Path) -> dict[str, str]:
    """Return the class that a run wrote down for each evaluation image."""
    text = (directory / "predictions.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return {line["id"]: line["predicted"] for line in lines}
