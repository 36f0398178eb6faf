"""The transform `standard`: resize and crop for evaluation, random crops and flips for training."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_transforms() -> list[Declaration]:
    """Declare the transform."""
    return [
        Declaration(
            name="standard",
            summary="resize and crop; in training, random resized crops and horizontal flips",
            target="tlf_builtin.standard.transform:Standard",
            options="tlf_builtin.standard.options:StandardOptions",
            examples=({}, {"size": 64}, {"size": 96, "scale": [0.5, 1.0], "flip": 0.0}),
        )
    ]
