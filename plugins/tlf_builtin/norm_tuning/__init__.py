"""The strategy `norm-tuning`: only the backbone's normalisations and the head learn."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="norm-tuning",
            summary="only the backbone's normalisations and the head learn",
            target="tlf_builtin.norm_tuning.strategy:NormTuning",
            options="tlf_builtin.norm_tuning.strategy:NormTuningOptions",
            examples=({}, {"body_rate": 0.1, "layer_decay": 0.9}),
        )
    ]
