"""The strategy `probe`: the best linear head on frozen features, solved for at once."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies() -> list[Declaration]:
    """Declare the strategy."""
    return [
        Declaration(
            name="probe",
            summary="the best linear head on frozen features, solved for and not trained",
            target="tlf_builtin.probe.strategy:Probe",
            options="tlf_builtin.probe.strategy:ProbeOptions",
            examples=({}, {"strengths": [1.0]}, {"strengths": [0.01, 0.1, 1.0]}),
        )
    ]
