"""Options of the device `cpu`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tlf.plugin import Options


class CpuOptions(Options):
    """Options of the device `cpu`."""

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="What the network is computed in. `auto` is bfloat16 where the processor has "
        "instructions for it, else float32.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Threads that compute; null for as many as torch takes. Results may differ in "
        "the last digits between numbers of threads.",
    )
    deterministic: bool = Field(
        default=False,
        description="Use only operations that give the same bytes each time, for as long as the run "
        "takes; one that needs another stops and names it. What tlf does on a processor is so already, "
        "for one number of threads.",
    )
