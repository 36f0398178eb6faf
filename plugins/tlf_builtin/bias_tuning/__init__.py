"""The strategy `bias-tuning`: only the backbone's biases and the head learn."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="bias-tuning",
            summary="only the backbone's biases and the head learn",
            target="tlf_builtin.bias_tuning.strategy:BiasTuning",
            options="tlf_builtin.bias_tuning.strategy:BiasTuningOptions",
            examples=({}, {"norms": "frozen"}, {"body_rate": 0.1}),
        )
    ]
