"""The strategy `from-scratch`: the control that says what the pretrained weights are worth."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="from-scratch",
            summary="the control: everything learns, from random weights",
            target="tlf_builtin.from_scratch.strategy:FromScratch",
        )
    ]
