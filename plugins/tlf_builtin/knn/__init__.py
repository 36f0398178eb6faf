"""The strategy `knn`: the nearest training images vote."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="knn",
            summary="the nearest training images vote, by the features of the frozen backbone",
            target="tlf_builtin.knn.strategy:Knn",
            options="tlf_builtin.knn.strategy:KnnOptions",
            examples=({}, {"neighbours": [1]}, {"neighbours": [1, 5, 20]}),
        )
    ]
