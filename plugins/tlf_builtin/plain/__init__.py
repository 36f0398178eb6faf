"""The transform `plain`: resize and crop the centre, in training too."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_transforms() -> list[Declaration]:
    """Declare the transform."""
    return [
        Declaration(
            name="plain",
            summary="resize and crop the centre, in training too: nothing is random",
            target="tlf_builtin.plain.transform:Plain",
            options="tlf_builtin.plain.options:PlainOptions",
            examples=({}, {"size": 64}, {"size": 96, "resize": 96, "mean": 0.5, "std": [0.5]}),
        )
    ]
