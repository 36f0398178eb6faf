"""Norm tuning: one step, in which the normalisations and the head learn."""

from __future__ import annotations

from collections.abc import Sequence

from tlf.plugin import Budget, Outline, PlanError, Step, Strategy
from tlf_builtin.body import FewParametersOptions


class NormTuningOptions(FewParametersOptions):
    """Options of `norm-tuning`."""


class NormTuning(Strategy[NormTuningOptions]):
    """Train gain and shift of every normalisation, and the head; batch statistics follow the data.

    After Frankle et al., 2021 (https://arxiv.org/abs/2003.00152), who found how much batch
    normalisations can do alone.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        body = [
            [group for group in stage.groups if group.endswith(":norm")]
            for stage in outline.stages[:-1]
        ]
        if not any(body):
            raise PlanError(
                "this network has no normalisations",
                hint="take `bias-tuning`, or another backbone",
            )
        return (self.options.train("norms", outline, body, budget.epochs),)
