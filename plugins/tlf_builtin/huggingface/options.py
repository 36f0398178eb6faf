"""Options of the data source `huggingface`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tlf.plugin import Options
from tlf_builtin.shares import SplitSeed, TestShare, ValidationShare, check_shares

Name = Annotated[str, Field(min_length=1)]


class HuggingFaceOptions(Options):
    """Options of `huggingface`."""

    path: Name = Field(
        description="A folder that `save_to_disk` wrote, one with Parquet files, one Parquet file, or "
        "an imagefolder. A relative path starts at the spec file's folder."
    )
    image: Name | None = Field(
        default=None, description="Column with the images; null for the only one that holds any."
    )
    label: Name | None = Field(
        default=None,
        description="Column with the class of each image, or with a list of its classes, which makes "
        "the data set multi-label; null for the only one of class labels.",
    )
    group: Name | None = Field(
        default=None,
        description="Column with what each image belongs together with: no group is in two splits.",
    )
    train: Name | None = Field(
        default=None, description="Split to train on; null for the one called so."
    )
    validation: Name | None = Field(
        default=None, description="Split to validate on; null for one called `validation` or `val`."
    )
    test: Name | None = Field(
        default=None, description="Split to report on; null for the one called so."
    )
    validation_share: ValidationShare = Field(
        default=0.2,
        description="Share of each class of train that is held out, where there is no validation "
        "split.",
    )
    test_share: TestShare = Field(
        default=0.0,
        description="Share of each class that is kept for the end, where there is but one split.",
    )
    split_seed: SplitSeed = 0

    @model_validator(mode="after")
    def _something_left(self) -> HuggingFaceOptions:
        check_shares(self.validation_share, self.test_share)
        return self
