"""Options of the device `auto`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tlf.plugin import Options


class AutoOptions(Options):
    """Options of the device `auto`."""

    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="What the network is computed in. `auto` is whatever is fast on the device "
        "that is taken; a device that lacks what is asked for is passed over.",
    )
    deterministic: bool = Field(
        default=False,
        description="Use only operations that give the same bytes each time, for as long as the run "
        "takes; one that needs another stops and names it.",
    )
