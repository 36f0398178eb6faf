"""The observer `tensorboard`: event files that TensorBoard draws."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_observers() -> list[Declaration]:
    """Declare the observer."""
    return [
        Declaration(
            name="tensorboard",
            summary="writes event files into the run directory, for TensorBoard to draw",
            target="tlf_builtin.tensorboard_events.observer:TensorBoard",
            options="tlf_builtin.tensorboard_events.options:TensorBoardOptions",
            requires=("tensorboard",),
            examples=({}, {"folder": "events"}),
        )
    ]
