"""The strategy `l2-sp`: every layer learns, and the backbone is drawn to where it began."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="l2-sp",
            summary="every layer learns, and the backbone is pulled toward its pretrained weights",
            target="tlf_builtin.l2_sp.strategy:L2Sp",
            options="tlf_builtin.l2_sp.strategy:L2SpOptions",
            examples=({}, {"strength": 1.0, "body_rate": 0.1}, {"norms": "learn"}),
        )
    ]
