"""L2-SP: one step, in which every layer learns and the backbone is drawn to where it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from tlf.plugin import Budget, Outline, Step, Strategy
from tlf_builtin.body import NormsOptions, RateOptions


class L2SpOptions(RateOptions, NormsOptions):
    """Options of `l2-sp`."""

    strength: float = Field(
        default=100.0,
        gt=0.0,
        le=1e6,
        description="How strongly the backbone is drawn to its pretrained weights: after each batch it "
        "goes this share, times its learning rate, of the way back. It takes the place of the "
        "backbone's weight decay.",
    )


class L2Sp(Strategy[L2SpOptions]):
    """Train every layer for the whole budget, and draw the backbone to its starting point.

    After Li et al., 2018 (https://arxiv.org/abs/1802.01483): the pretrained weights, and not 0, are
    what a penalty should pull toward. Their penalty is part of the loss; here it stands beside the
    gradient, as decoupled weight decay does.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        body = [self.options.learning(stage) for stage in outline.stages[:-1]]
        step = self.options.train("all", outline, body, budget.epochs)
        return (replace(step, pull=self.options.strength),)
