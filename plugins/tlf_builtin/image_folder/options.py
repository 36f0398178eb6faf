"""Options of the data source `image-folder`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tlf.plugin import Options

Folder = Annotated[str, Field(min_length=1)]

#: The two ways to say where the splits come from: options that belong to one of them only.
_SPLIT_ALREADY = ("train", "validation", "test")
_TO_BE_SPLIT = ("folder", "validation_fraction", "test_fraction", "split_seed")


class ImageFolderOptions(Options):
    """Options of `image-folder`: `train` and `validation`, or one `folder` to be split.

    Relative paths start at the spec file's folder.
    """

    train: Folder | None = Field(default=None, description="Images to train on.")
    validation: Folder | None = Field(
        default=None, description="Images that are evaluated after every epoch."
    )
    test: Folder | None = Field(
        default=None,
        description="Images that the report speaks of: evaluated once, at the end, and nothing is "
        "chosen on them.",
    )
    folder: Folder | None = Field(
        default=None, description="Images that are split by the fractions below."
    )
    validation_fraction: float = Field(
        default=0.2, gt=0.0, lt=1.0, description="Share of each class that is held out."
    )
    test_fraction: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="Share of each class that is kept for the end."
    )
    split_seed: int = Field(
        default=0, ge=0, lt=2**31, description="Draws the split. Not the run's seed, on purpose."
    )
    shots: int | None = Field(
        default=None,
        ge=1,
        description="Images of each class to train on; the others of train are left out. null for "
        "all.",
    )
    shots_seed: int = Field(
        default=0, ge=0, lt=2**31, description="Draws which. More shots contain the fewer ones."
    )

    @model_validator(mode="after")
    def _one_form(self) -> ImageFolderOptions:
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        already = [name for name in _SPLIT_ALREADY if name in given]
        to_be = [name for name in _TO_BE_SPLIT if name in given]
        if already and to_be:
            raise ValueError(
                f"`{already[0]}` and `{to_be[0]}` do not go together: give `train` and "
                "`validation`, or one `folder` that is to be split"
            )
        if not already and "folder" not in given:
            raise ValueError(
                "no images are named: give `train` and `validation`, or one `folder` that is to "
                "be split"
            )
        for name in ("train", "validation"):
            if already and name not in given:
                raise ValueError(f"`{name}` is missing beside `{already[0]}`")
        return self

    @model_validator(mode="after")
    def _something_to_train_on(self) -> ImageFolderOptions:
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError(
                "`validation_fraction` and `test_fraction` leave nothing to train on: together "
                f"they are {self.validation_fraction + self.test_fraction:g}"
            )
        return self
