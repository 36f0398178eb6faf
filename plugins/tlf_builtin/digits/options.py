"""Options of the data source `digits`."""

from __future__ import annotations

from pydantic import Field

from tlf.plugin import Options

#: How many images of each digit are left to train on, at least.
MOST_SHOTS = 80


class DigitsOptions(Options):
    """Options of `digits`."""

    shots: int | None = Field(
        default=None,
        ge=1,
        le=MOST_SHOTS,
        description="Labelled images of each digit to train on; null for all. More contain the "
        "fewer.",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="Draws which. Not the run's seed, on purpose."
    )
