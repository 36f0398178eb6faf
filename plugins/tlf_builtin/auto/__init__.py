"""The device `auto`: the best one that is there."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_devices() -> list[Declaration]:
    """Declare the device."""
    return [
        Declaration(
            name="auto",
            summary="the best device that is there",
            target="tlf_builtin.auto.device:Auto",
            options="tlf_builtin.auto.options:AutoOptions",
            examples=(
                {},
                {"precision": "float32"},
                {"precision": "float16"},
                {"deterministic": True},
            ),
        )
    ]
