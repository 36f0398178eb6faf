"""The strategy `lora`: low-rank additions to the backbone's layers learn, and the head."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="lora",
            summary="low-rank additions to the backbone's layers learn, and the head",
            target="tlf_builtin.lora.strategy:Lora",
            options="tlf_builtin.lora.options:LoraOptions",
            requires=("peft",),
            examples=(
                {},
                {"rank": 2, "alpha": 4.0, "dropout": 0.1, "targets": ["convolution"]},
                {"stages": ["blocks.1.."], "body_rate": 0.5},
            ),
        )
    ]
