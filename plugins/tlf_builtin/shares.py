"""Options of data sources that hold out what the data do not split themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

#: Share of each class that is held out to validate on.
ValidationShare = Annotated[float, Field(gt=0.0, lt=1.0)]
#: Share of each class that is kept for the end; 0 for none.
TestShare = Annotated[float, Field(ge=0.0, lt=1.0)]
#: Draws the split.
SplitSeed = Annotated[
    int, Field(ge=0, lt=2**31, description="Draws the split. Not the run's seed, on purpose.")
]


def check_shares(validation: float, test: float) -> None:
    """Check that something is left to train on.

    Args:
        validation: Share of each class that is held out.
        test: Share of each class that is kept for the end.

    Raises:
        ValueError: Nothing is.
    """
    if validation + test >= 1.0:
        raise ValueError("`validation_share` and `test_share` leave nothing to train on")
