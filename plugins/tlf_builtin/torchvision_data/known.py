"""Which data sets there are, and what torchvision calls their splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Known:
    """A data set of torchvision.

    Attributes:
        class_name: In `torchvision.datasets`.
        splits: Arguments of its constructor, by split; `train` alone is all that there is.
    """

    class_name: str
    splits: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"train": {}})


def _switched(class_name: str) -> Known:
    return Known(class_name, {"train": {"train": True}, "test": {"train": False}})


def _named(class_name: str, **splits: str) -> Known:
    return Known(class_name, {split: {"split": name} for split, name in splits.items()})


_TWO = {"train": "train", "test": "test"}
_THREE = {"train": "train", "validation": "val", "test": "test"}

#: By the name of its class in lower case. CIFAR is not among them: it comes as pickles.
KNOWN: Mapping[str, Known] = {
    "caltech101": Known("Caltech101"),
    "caltech256": Known("Caltech256"),
    "country211": _named("Country211", train="train", validation="valid", test="test"),
    "dtd": _named("DTD", **_THREE),
    "eurosat": Known("EuroSAT"),
    "fashionmnist": _switched("FashionMNIST"),
    "fgvcaircraft": _named("FGVCAircraft", **_THREE),
    "flowers102": _named("Flowers102", **_THREE),
    "food101": _named("Food101", **_TWO),
    "gtsrb": _named("GTSRB", **_TWO),
    "imagenette": _named("Imagenette", train="train", validation="val"),
    "kmnist": _switched("KMNIST"),
    "mnist": _switched("MNIST"),
    "oxfordiiitpet": _named("OxfordIIITPet", train="trainval", test="test"),
    "renderedsst2": _named("RenderedSST2", **_THREE),
    "stanfordcars": _named("StanfordCars", **_TWO),
    "stl10": _named("STL10", **_TWO),
    "sun397": Known("SUN397"),
    "svhn": _named("SVHN", **_TWO),
    "usps": _switched("USPS"),
}
