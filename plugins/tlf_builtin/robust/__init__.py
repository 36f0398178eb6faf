"""The strategy `robust`: linear probing, fine-tuning, and an average of the two."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="robust",
            summary="a linear probe, fine-tuning from it, and the average of both that does best",
            target="tlf_builtin.robust.strategy:Robust",
            options="tlf_builtin.robust.strategy:RobustOptions",
            examples=(
                {},
                {"shares": [0.5]},
                {"trainings": 3, "soup": "greedy"},
                {"trainings": 2, "body_rate": 0.1, "norms": "learn"},
            ),
        )
    ]
