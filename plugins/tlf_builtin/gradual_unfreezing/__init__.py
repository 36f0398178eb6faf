"""The strategy `gradual-unfreezing`: the head first, then the stages from the top down."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="gradual-unfreezing",
            summary="the head first, then stage by stage from the top, deeper ones more slowly",
            target="tlf_builtin.gradual_unfreezing.strategy:GradualUnfreezing",
            options="tlf_builtin.gradual_unfreezing.strategy:GradualUnfreezingOptions",
            examples=(
                {},
                {"thaws": 1, "depth": 2},
                {"body_rate": 0.5, "rate_decay": 1.0, "norms": "learn"},
                {"layer_decay": 0.9, "head_multiplier": 0.5},
                {"advance": "on-plateau", "patience": 2},
            ),
        )
    ]
