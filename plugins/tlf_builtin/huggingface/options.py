"""Options of the data source `huggingface`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tlf.plugin import Options

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
    validation_share: float = Field(
        default=0.2,
        gt=0.0,
        lt=1.0,
        description="Share of each class of train that is held out, where there is no validation "
        "split.",
    )
    test_share: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Share of each class that is kept for the end, where there is but one split.",
    )
    split_seed: int = Field(
        default=0, ge=0, lt=2**31, description="Draws the split. Not the run's seed, on purpose."
    )

    @model_validator(mode="after")
    def _something_left(self) -> HuggingFaceOptions:
        if self.validation_share + self.test_share >= 1.0:
            raise ValueError("`validation_share` and `test_share` leave nothing to train on")
        return self
