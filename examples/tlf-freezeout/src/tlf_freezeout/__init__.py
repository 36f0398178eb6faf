"""The plugin `freezeout`: the strategy `freezeout/progressive`."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="freezeout/progressive",
            summary="everything learns at first, then stages are frozen one by one from the bottom",
            target="tlf_freezeout.strategy:Progressive",
            options="tlf_freezeout.strategy:ProgressiveOptions",
            examples=(
                {},
                {"first": 0.8, "schedule": "linear"},
                {"first": 0.1, "body_rate": 1.0},
                {"first": 1.0},
            ),
        )
    ]
