"""Bias tuning: one step, in which the biases and the head learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tlf.plugin import Budget, Outline, PlanError, Step, Strategy
from tlf_builtin.body import FewParametersOptions


class BiasTuningOptions(FewParametersOptions):
    """Options of `bias-tuning`."""

    norms: Literal["frozen", "learn"] = Field(
        default="frozen",
        description="Whether the normalisations learn too. Their shifts are biases, and in most "
        "convolutional networks the only ones; but their gains learn with them.",
    )


class BiasTuning(Strategy[BiasTuningOptions]):
    """Train every bias of the backbone, and the head.

    After BitFit, Ben Zaken et al., 2022 (https://arxiv.org/abs/2106.10199), which was tried on
    transformers.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        kinds = (":bias", ":norm") if self.options.norms == "learn" else (":bias",)
        body = [
            [group for group in stage.groups if group.endswith(kinds)]
            for stage in outline.stages[:-1]
        ]
        if not any(body):
            raise PlanError(
                "this network has no biases outside its normalisations",
                option="norms",
                hint="set it to `learn`, or take `norm-tuning`, or another backbone",
            )
        return (self.options.train("biases", outline, body, budget.epochs),)
