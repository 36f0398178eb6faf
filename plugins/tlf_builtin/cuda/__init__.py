"""The device `cuda`: a GPU of NVIDIA's, or one of AMD's with a torch that was built for it."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_devices() -> list[Declaration]:
    """Declare the device."""
    return [
        Declaration(
            name="cuda",
            summary="a GPU, in half precision",
            target="tlf_builtin.cuda.device:Cuda",
            options="tlf_builtin.cuda.options:CudaOptions",
            examples=(
                {},
                {"precision": "float32"},
                {"precision": "bfloat16"},
                {"precision": "float16", "index": 0},
                {"deterministic": True},
            ),
        )
    ]
