"""Options of the device `cuda`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tlf.plugin import Options


class CudaOptions(Options):
    """Options of the device `cuda`."""

    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="What the network is computed in. `auto` is bfloat16 where the GPU has it, else "
        "float16.",
    )
    index: int = Field(
        default=0,
        ge=0,
        le=1023,
        description="Which GPU, counted from 0 as torch does.",
    )
    deterministic: bool = Field(
        default=False,
        description="Use only operations that give the same bytes each time, for as long as the run "
        "takes; one that needs another stops and names it. Slower.",
    )
