"""The device `mps`: the GPU of an Apple computer."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_devices() -> list[Declaration]:
    """Declare the device."""
    return [
        Declaration(
            name="mps",
            summary="the GPU of an Apple computer",
            target="tlf_builtin.mps.device:Mps",
            options="tlf_builtin.mps.options:MpsOptions",
            examples=(
                {},
                {"precision": "float32"},
                {"precision": "float16"},
                {"deterministic": True},
            ),
        )
    ]
