"""Options of the transform `plain`."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from tlf.errors import Problem, SpecError
from tlf.plugin import InputConfig, Options

ValueT = TypeVar("ValueT")


def _one_or_three(value: ValueT) -> ValueT:
    if isinstance(value, tuple) and len(value) not in (1, 3):
        raise ValueError(
            f"must be one number, or a list of one or three numbers, not of {len(value)}"
        )
    return value


Side = Annotated[int, Field(ge=8, le=4096)]
Mean = Annotated[float, Field(ge=-10.0, le=10.0)]
Deviation = Annotated[float, Field(gt=0.0, le=10.0)]

# Pydantic's own bounds on a length would complain of the length of a list with a bad number, too.
_LENGTH = Field(json_schema_extra={"minItems": 1, "maxItems": 3})

Means = Annotated[Mean | Annotated[tuple[Mean, ...], _LENGTH], AfterValidator(_one_or_three)]
Deviations = Annotated[
    Deviation | Annotated[tuple[Deviation, ...], _LENGTH], AfterValidator(_one_or_three)
]


class PlainOptions(Options):
    """Options of the transform `plain`. What is left out comes from the backbone."""

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
    mean: Means | None = Field(
        default=None,
        description="Subtracted from values in [0, 1]: one number, or three for red, green and "
        "blue.",
    )
    std: Deviations | None = Field(
        default=None,
        description="The divisor after that: one number, or three for red, green and blue.",
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> PlainOptions:
        if self.size is not None and self.resize is not None and self.resize < self.size:
            raise ValueError(_too_small(self.resize, self.size))
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
            mean=config.mean if self.mean is None else _per_channel(self.mean),
            std=config.std if self.std is None else _per_channel(self.std),
        )


def _per_channel(given: float | tuple[float, ...]) -> tuple[float, float, float]:
    numbers = given if isinstance(given, tuple) else (given,)
    red, green, blue = numbers * 3 if len(numbers) == 1 else numbers
    return red, green, blue


def _too_small(resize: int, size: int) -> str:
    return (
        f"`resize` ({resize}) is smaller than the size of the network's input ({size}): a crop "
        "cannot be larger than the image"
    )
