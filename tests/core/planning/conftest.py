"""A network on paper: four stages, one of them without parameters."""

import pytest

from tlf.plugin import HEAD, Outline, StageOutline


@pytest.fixture
def outline():
    return Outline(
        (
            StageOutline("stem", {"weight": 100, "norm": 8}, 1000, (4, 16, 16)),
            StageOutline("pool", {}, 10, (4, 8, 8)),
            StageOutline("top", {"weight": 50, "bias": 5}, 500, (5,)),
            StageOutline(HEAD, {"weight": 10, "bias": 2}, 20, (2,)),
        ),
        image_size=16,
    )
