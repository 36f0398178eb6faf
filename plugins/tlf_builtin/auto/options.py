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
