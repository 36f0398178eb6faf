"""The strategy `auto`: takes the strategy that did best on tasks like this one."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="auto",
            summary="the strategy that did best with about as many images a class, and says why",
            target="tlf_builtin.auto_strategy.strategy:Auto",
            options="tlf_builtin.auto_strategy.strategy:AutoOptions",
            examples=({},),
        )
    ]
