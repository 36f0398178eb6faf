"""The strategy `surgical`: chosen stages and the head learn."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="surgical",
            summary="the stages that you name, or those with the longest gradients, and the head",
            target="tlf_builtin.surgical.strategy:Surgical",
            options="tlf_builtin.surgical.strategy:SurgicalOptions",
            examples=(
                {},
                {"count": 1, "norms": "learn"},
                {"stages": ["*"]},
                {"stages": ["blocks.0"], "norms": "learn"},
                {"stages": ["..blocks.0"], "body_rate": 0.1, "layer_decay": 0.9},
            ),
        )
    ]
