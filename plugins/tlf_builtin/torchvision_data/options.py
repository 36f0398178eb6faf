"""Options of the data source `torchvision`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tlf.plugin import Options

Name = Literal[
    "caltech101",
    "caltech256",
    "country211",
    "dtd",
    "eurosat",
    "fashionmnist",
    "fgvcaircraft",
    "flowers102",
    "food101",
    "gtsrb",
    "imagenette",
    "kmnist",
    "mnist",
    "oxfordiiitpet",
    "renderedsst2",
    "stanfordcars",
    "stl10",
    "sun397",
    "svhn",
    "usps",
]


class TorchvisionOptions(Options):
    """Options of `torchvision`."""

    dataset: Name = Field(
        description="The data set: the name of its class in `torchvision.datasets`, in lower case."
    )
    root: str = Field(
        min_length=1,
        description="The folder that torchvision keeps it in. A relative path starts at the spec "
        "file's folder.",
    )
    download: bool = Field(
        default=False,
        description="Whether torchvision may download it if it is not there: whenever the data are "
        "listed, so by `tlf plan` too.",
    )
    validation_share: float = Field(
        default=0.2,
        gt=0.0,
        lt=1.0,
        description="Share of each class of train that is held out, where the data set has no "
        "validation split.",
    )
    test_share: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Share of each class that is kept for the end, where it has no splits at all.",
    )
    split_seed: int = Field(
        default=0, ge=0, lt=2**31, description="Draws the split. Not the run's seed, on purpose."
    )

    @model_validator(mode="after")
    def _something_left(self) -> TorchvisionOptions:
        if self.validation_share + self.test_share >= 1.0:
            raise ValueError("`validation_share` and `test_share` leave nothing to train on")
        return self
