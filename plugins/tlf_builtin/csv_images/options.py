"""Options of the data source `csv`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tlf.plugin import Options
from tlf_builtin.shares import SplitSeed, TestShare, ValidationShare, check_shares

Column = Annotated[str, Field(min_length=1)]


class CsvOptions(Options):
    """Options of `csv`."""

    file: str = Field(
        min_length=1,
        description="The table. A relative path starts at the spec file's folder.",
    )
    images: str | None = Field(
        default=None,
        min_length=1,
        description="What relative paths in the table start from; null for the table's own folder.",
    )
    path: Column = Field(default="path", description="Column with the path of each image.")
    label: Column | None = Field(
        default=None,
        description="Column with the class of each image; null for `label`, if it is there.",
    )
    labels: Column | None = Field(
        default=None,
        description="Column with any number of classes of each image, which makes the data set "
        "multi-label; null for `labels`, if it is there.",
    )
    separator: str = Field(
        default=";",
        min_length=1,
        max_length=3,
        description="What stands between the classes of one image.",
    )
    split: Column | None = Field(
        default=None,
        description="Column with `train`, `validation` or `test`; null for `split`, if it is there.",
    )
    group: Column | None = Field(
        default=None,
        description="Column with what each image belongs together with: no group is in two splits. "
        "null for `group`, if it is there.",
    )
    classes: tuple[Column, ...] | None = Field(
        default=None,
        min_length=2,
        description="The classes in their order; a row with another one is refused. null for those "
        "of the table, sorted.",
    )
    validation_share: ValidationShare = Field(
        default=0.2,
        description="Share of each class that is held out, where the table gives no validation "
        "split.",
    )
    test_share: TestShare = Field(
        default=0.0,
        description="Share of each class that is kept for the end, where the table has no splits.",
    )
    split_seed: SplitSeed = 0

    @model_validator(mode="after")
    def _one_task(self) -> CsvOptions:
        if self.label is not None and self.labels is not None:
            raise ValueError(
                "`label` makes the data set single-label and `labels` multi-label: give one of them"
            )
        check_shares(self.validation_share, self.test_share)
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError("`classes` holds a name twice")
        return self
