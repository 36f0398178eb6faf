"""What the scripts of other libraries share: images, network, and what they print.

Each script gets one argument, JSON with `train`, `validation`, `weights`, `epochs`, `batch`, `workers`,
`seed` and, for Lightning, `rate`; its last line is JSON. The clock starts after the imports.
"""

import json
import sys
from importlib import metadata
from typing import Any

import torch
import torchvision
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from torchvision import transforms as T  # noqa: N812 - what everybody calls it

NORMALISE = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
AUGMENT = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), NORMALISE])
CENTRE = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), NORMALISE])


def settings() -> dict[str, Any]:
    """Return what the script was told."""
    return json.loads(sys.argv[1])


def loaders(told: dict[str, Any]) -> tuple[DataLoader, DataLoader]:
    """Return the loaders of training and validation images, with the usual augmentation."""
    train, validation = (
        DataLoader(
            torchvision.datasets.ImageFolder(told[split], transform),
            batch_size=told["batch"],
            shuffle=split == "train",
            num_workers=told["workers"],
            persistent_workers=told["workers"] > 0,
        )
        for split, transform in (("train", AUGMENT), ("validation", CENTRE))
    )
    return train, validation


def network(told: dict[str, Any], classes: int) -> torch.nn.Module:
    """Return MobileNetV2 with its pretrained weights and a new classifier."""
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(load_file(told["weights"]))
    model.classifier[1] = torch.nn.Linear(model.classifier[1].in_features, classes)
    return model


def tell(seconds: float, accuracy: float, packages: tuple[str, ...]) -> None:
    """Print what came of it."""
    versions = {name: metadata.version(name) for name in ("torch", "torchvision", *packages)}
    print(json.dumps({"seconds": seconds, "accuracy": accuracy, "versions": versions}))
