"""The strategy `lp-ft`: a linear probe first, then everything learns slowly."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="lp-ft",
            summary="the best linear head first, then every layer learns at a small rate",
            target="tlf_builtin.lp_ft.strategy:LpFt",
            options="tlf_builtin.lp_ft.strategy:LpFtOptions",
            examples=(
                {},
                {"strengths": [0.1, 1.0], "body_rate": 0.1, "head_multiplier": 0.1},
                {"norms": "learn", "layer_decay": 0.8},
            ),
        )
    ]
