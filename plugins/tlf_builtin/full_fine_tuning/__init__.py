"""The strategy `full-fine-tuning`: every layer learns, the body more slowly than the head."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="full-fine-tuning",
            summary="every layer learns, the backbone at a fraction of the head's rate",
            target="tlf_builtin.full_fine_tuning.strategy:FullFineTuning",
            options="tlf_builtin.full_fine_tuning.strategy:FullFineTuningOptions",
            examples=(
                {},
                {"body_rate": 1.0},
                {"norms": "learn"},
                {"layer_decay": 0.8, "head_multiplier": 0.5},
            ),
        )
    ]
