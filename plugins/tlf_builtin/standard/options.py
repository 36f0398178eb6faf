"""Options of the transform `standard`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tlf.errors import Problem, SpecError
from tlf.plugin import InputConfig, Options

Side = Annotated[int, Field(ge=8, le=4096)]
Mean = Annotated[float, Field(ge=-10.0, le=10.0)]
Deviation = Annotated[float, Field(gt=0.0, le=10.0)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Aspect = Annotated[float, Field(ge=0.1, le=10.0)]


class StandardOptions(Options):
    """Options of the transform `standard`. What is left out comes from the backbone."""

    size: Side | None = Field(
        default=None, description="Side of the square that the network gets, in pixels."
    )
    resize: Side | None = Field(
        default=None,
        description="Length of the shorter side before the centre is cropped, in pixels. If only "
        "`size` is given, it keeps its ratio to that.",
    )
    interpolation: Literal["bilinear", "bicubic"] | None = Field(
        default=None, description="Filter for resizing, with antialiasing."
    )
    mean: tuple[Mean, Mean, Mean] | None = Field(
        default=None, description="Per channel, subtracted from values in [0, 1]."
    )
    std: tuple[Deviation, Deviation, Deviation] | None = Field(
        default=None, description="Per channel, the divisor after that."
    )
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
    def _sizes_fit(self) -> StandardOptions:
        if self.size is not None and self.resize is not None and self.resize < self.size:
            raise ValueError(_too_small(self.resize, self.size))
        return self

    @model_validator(mode="after")
    def _ranges_rise(self) -> StandardOptions:
        for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if low > high:
                raise ValueError(f"`{name}` must rise, and [{low}, {high}] falls")
        return self

    def resolve(self, config: InputConfig) -> InputConfig:
        """Return the sizes, filter and normalisation with nothing left open.

        Args:
            config: What the backbone's weights were trained to see.

        Raises:
            SpecError: `resize` is given and is smaller than the backbone's size.
        """
        size = self.size or config.size
        resize = self.resize or max(size, round(size * config.resize / config.size))
        if resize < size:
            raise SpecError([Problem("transforms.options.resize", _too_small(resize, size))])
        return InputConfig(
            size=size,
            resize=resize,
            interpolation=self.interpolation or config.interpolation,
            mean=self.mean or config.mean,
            std=self.std or config.std,
        )


def _too_small(resize: int, size: int) -> str:
    return (
        f"`resize` ({resize}) is smaller than the size of the network's input ({size}): a crop "
        "cannot be larger than the image"
    )
