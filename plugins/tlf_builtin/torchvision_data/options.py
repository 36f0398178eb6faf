"""Options of the data source `torchvision`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tlf.plugin import Options
from tlf_builtin.shares import SplitSeed, TestShare, ValidationShare, check_shares

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
    validation_share: ValidationShare = Field(
        default=0.2,
        description="Share of each class of train that is held out, where the data set has no "
        "validation split.",
    )
    test_share: TestShare = Field(
        default=0.0,
        description="Share of each class that is kept for the end, where it has no splits at all.",
    )
    split_seed: SplitSeed = 0

    @model_validator(mode="after")
    def _something_left(self) -> TorchvisionOptions:
        check_shares(self.validation_share, self.test_share)
        return self
