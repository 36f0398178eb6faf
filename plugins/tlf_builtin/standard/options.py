"""Options of the transform `standard`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tlf_builtin.plain.options import PlainOptions

Share = Annotated[float, Field(gt=0.0, le=1.0)]
Aspect = Annotated[float, Field(ge=0.1, le=10.0)]


class StandardOptions(PlainOptions):
    """Options of the transform `standard`. What is left out comes from the backbone."""

    scale: tuple[Share, Share] = Field(
        default=(0.35, 1.0),
        description="Range of the share of the image's area that a random crop covers.",
    )
    ratio: tuple[Aspect, Aspect] = Field(
        default=(3 / 4, 4 / 3), description="Range of a random crop's width by its height."
    )
    flip: float = Field(
        default=0.5, ge=0.0, le=1.0, description="Probability of a horizontal flip."
    )

    @model_validator(mode="after")
    def _ranges_rise(self) -> StandardOptions:
        check_rises("scale", self.scale)
        check_rises("ratio", self.ratio)
        return self


def check_rises(name: str, limits: tuple[float, float]) -> None:
    """Check that a range goes from its lower to its upper end.

    Args:
        name: What the option is called.
        limits: The ends, as given.

    Raises:
        ValueError: It goes the other way.
    """
    low, high = limits
    if low > high:
        raise ValueError(f"`{name}` must rise, and [{low}, {high}] falls")
