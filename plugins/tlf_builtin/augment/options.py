"""Options of the transform `augment`."""

from __future__ import annotations

from pydantic import Field, model_validator

from tlf_builtin.standard.options import Share, StandardOptions, check_rises


class AugmentOptions(StandardOptions):
    """Options of the transform `augment`. What is left out comes from the backbone."""

    trivial_augment: bool = Field(
        default=True,
        description="Whether each view gets one operation on colours or shape, drawn with its "
        "strength (TrivialAugment).",
    )
    erasing: float = Field(
        default=0.25, ge=0.0, le=1.0, description="Probability that a box of a view is erased."
    )
    erasing_scale: tuple[Share, Share] = Field(
        default=(0.02, 0.33),
        description="Range of the share of the view's area that an erased box covers.",
    )

    @model_validator(mode="after")
    def _erasing_scale_rises(self) -> AugmentOptions:
        check_rises("erasing_scale", self.erasing_scale)
        return self
