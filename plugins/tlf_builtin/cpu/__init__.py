"""The device `cpu`: the processor."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_devices() -> list[Declaration]:
    """Declare the device."""
    return [
        Declaration(
            name="cpu",
            summary="the processor, in bfloat16 where it is fast",
            target="tlf_builtin.cpu.device:Cpu",
            options="tlf_builtin.cpu.options:CpuOptions",
            examples=(
                {},
                {"precision": "float32"},
                {"precision": "bfloat16"},
                {"deterministic": True},
            ),
        )
    ]
