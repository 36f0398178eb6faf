"""Options of `tensorboard`. They are shown and checked where TensorBoard is not installed, too."""

from __future__ import annotations

from pydantic import Field

from tlf.plugin import Options


class TensorBoardOptions(Options):
    """Options of `tensorboard`."""

    folder: str = Field(
        default="tensorboard",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of the folder in the run directory.",
    )
