"""TrivialAugment: one operation a view, with a strength of its own.

Müller and Hutter, 2021, arxiv.org/abs/2103.10158. The operations, their ranges and their meaning are
those of torchvision's `TrivialAugmentWide`; only the draws are an item's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F  # noqa: N812 - what torchvision calls it

from tlf_builtin.standard.crop import draw_numbers

#: How many strengths an operation has.
STRENGTHS = 31

_Function = Callable[[torch.Tensor, float, Sequence[float]], torch.Tensor]


@dataclass(frozen=True)
class Operation:
    """One operation on the pixels of a view.

    Attributes:
        apply: Takes uint8 `(3, H, W)`, a magnitude, and the colour of what lies outside the image.
        magnitudes: The magnitude at the least strength and at the greatest, linear between them.
        is_signed: Whether a magnitude is turned into its negative half of the time.
    """

    apply: _Function
    magnitudes: tuple[float, float] = (0.0, 0.0)
    is_signed: bool = False

    def magnitude(self, strength: int, *, negative: bool = False) -> float:
        """Return a magnitude.

        Args:
            strength: From 0 to `STRENGTHS` - 1.
            negative: Whether the sign is turned, if there is one.
        """
        low, high = self.magnitudes
        value = low + (high - low) * strength / (STRENGTHS - 1)
        return -value if negative and self.is_signed else value


def draw_operation(generator: torch.Generator) -> tuple[Operation, float]:
    """Draw an operation and its magnitude. Always takes the same number of draws.

    Args:
        generator: Of the item.
    """
    which, strength, sign = draw_numbers(generator, 3)
    operation = tuple(OPERATIONS.values())[int(which * len(OPERATIONS))]
    return operation, operation.magnitude(int(strength * STRENGTHS), negative=sign < 0.5)


def _identity(image: torch.Tensor, magnitude: float, outside: Sequence[float]) -> torch.Tensor:  # noqa: ARG001
    return image


def _moved(
    image: torch.Tensor,
    outside: Sequence[float],
    *,
    translate: tuple[int, int] = (0, 0),
    shear: tuple[float, float] = (0.0, 0.0),
    center: tuple[float, float] | None = None,
) -> torch.Tensor:
    moved: torch.Tensor = F.affine(
        image,
        angle=0.0,
        translate=list(translate),
        scale=1.0,
        shear=list(shear),
        interpolation=InterpolationMode.BILINEAR,
        fill=list(outside),
        center=None if center is None else list(center),
    )
    return moved


def _shear_x(image: torch.Tensor, magnitude: float, outside: Sequence[float]) -> torch.Tensor:
    # The magnitude is the slope, and torchvision asks for the angle.
    angle = math.degrees(math.atan(magnitude))
    return _moved(image, outside, shear=(angle, 0.0), center=(0.0, 0.0))


def _shear_y(image: torch.Tensor, magnitude: float, outside: Sequence[float]) -> torch.Tensor:
    angle = math.degrees(math.atan(magnitude))
    return _moved(image, outside, shear=(0.0, angle), center=(0.0, 0.0))


def _translate_x(image: torch.Tensor, magnitude: float, outside: Sequence[float]) -> torch.Tensor:
    return _moved(image, outside, translate=(int(magnitude), 0))


def _translate_y(image: torch.Tensor, magnitude: float, outside: Sequence[float]) -> torch.Tensor:
    return _moved(image, outside, translate=(0, int(magnitude)))


def _rotate(image: torch.Tensor, magnitude: float, outside: Sequence[float]) -> torch.Tensor:
    rotated: torch.Tensor = F.rotate(
        image, magnitude, interpolation=InterpolationMode.BILINEAR, fill=list(outside)
    )
    return rotated


def _in_place(function: Callable[[torch.Tensor, float], torch.Tensor]) -> _Function:
    """Return an operation that moves no pixel, so that nothing lies outside."""

    def apply(image: torch.Tensor, magnitude: float, outside: Sequence[float]) -> torch.Tensor:  # noqa: ARG001
        return function(image, magnitude)

    return apply


_FACTOR = (0.0, 0.99)

#: By torchvision's names and in its order, which the draws go by.
OPERATIONS: Mapping[str, Operation] = {
    "Identity": Operation(_identity),
    "ShearX": Operation(_shear_x, (0.0, 0.99), is_signed=True),
    "ShearY": Operation(_shear_y, (0.0, 0.99), is_signed=True),
    "TranslateX": Operation(_translate_x, (0.0, 32.0), is_signed=True),
    "TranslateY": Operation(_translate_y, (0.0, 32.0), is_signed=True),
    "Rotate": Operation(_rotate, (0.0, 135.0), is_signed=True),
    "Brightness": Operation(
        _in_place(lambda image, m: F.adjust_brightness(image, 1.0 + m)), _FACTOR, is_signed=True
    ),
    "Color": Operation(
        _in_place(lambda image, m: F.adjust_saturation(image, 1.0 + m)), _FACTOR, is_signed=True
    ),
    "Contrast": Operation(
        _in_place(lambda image, m: F.adjust_contrast(image, 1.0 + m)), _FACTOR, is_signed=True
    ),
    "Sharpness": Operation(
        _in_place(lambda image, m: F.adjust_sharpness(image, 1.0 + m)), _FACTOR, is_signed=True
    ),
    "Posterize": Operation(_in_place(lambda image, m: F.posterize(image, round(m))), (8.0, 2.0)),
    "Solarize": Operation(_in_place(lambda image, m: F.solarize(image, 255.0 * m)), (1.0, 0.0)),
    "AutoContrast": Operation(_in_place(lambda image, _: F.autocontrast(image))),
    "Equalize": Operation(_in_place(lambda image, _: F.equalize(image))),
}
