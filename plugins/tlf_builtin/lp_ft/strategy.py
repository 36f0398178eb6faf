"""Linear probing, then fine-tuning: a step that solves for the head, and one in which all learns."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from tlf.plugin import Budget, Outline, Solve, Step, Strategy
from tlf_builtin.body import NormsOptions, RateOptions
from tlf_builtin.probe.strategy import ProbeOptions


class LpFtOptions(ProbeOptions, RateOptions, NormsOptions):
    """Options of `lp-ft`."""

    body_rate: float = Field(
        default=0.03,
        gt=0.0,
        le=1.0,
        description="The backbone's learning rate in the second step, as a fraction of "
        "`training.learning_rate`.",
    )
    head_multiplier: float = Field(
        default=0.03,
        gt=0.0,
        le=100.0,
        description="What the head's learning rate is multiplied by in the second step. As small as "
        "the body's: the head is as good as it can be on the features that there are.",
    )


class LpFt(Strategy[LpFtOptions]):
    """Solve for the head on frozen features, then train every layer for the whole budget.

    After Kumar et al., 2022 (https://arxiv.org/abs/2202.10054): a head that fits the pretrained
    features from the start leaves less reason to distort them, which images unlike the training
    images would pay for. Their first step trains the head until it converges; here it is solved for.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the two steps."""
        body = [self.options.learning(stage) for stage in outline.stages[:-1]]
        return (
            Solve(name="probe", method="lbfgs", grid=self.options.strengths),
            self.options.train("all", outline, body, budget.epochs),
        )
