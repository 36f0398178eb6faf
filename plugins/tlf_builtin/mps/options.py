"""Options of the device `mps`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tlf.plugin import Options


class MpsOptions(Options):
    """Options of the device `mps`."""

    precision: Literal["auto", "float32", "float16"] = Field(
        default="auto",
        description="What the network is computed in. `auto` is float32.",
    )
    deterministic: bool = Field(
        default=False,
        description="Use only operations that give the same bytes each time, for as long as the run "
        "takes; one that needs another stops and names it.",
    )
