"""The strategy `feature-extraction`: the backbone stays as it is, the head learns."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="feature-extraction",
            summary="the backbone stays frozen, only the head learns",
            target="tlf_builtin.feature_extraction.strategy:FeatureExtraction",
        )
    ]
