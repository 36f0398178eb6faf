"""Full fine-tuning: one step, in which every layer learns."""

from __future__ import annotations

from collections.abc import Sequence

from tlf.plugin import Budget, Outline, Step, Strategy
from tlf_builtin.body import NormsOptions, RateOptions


class FullFineTuningOptions(RateOptions, NormsOptions):
    """Options of `full-fine-tuning`."""


class FullFineTuning(Strategy[FullFineTuningOptions]):
    """Train every layer for the whole budget, the backbone at a fraction of the head's rate.

    Normalisations stay as they were pretrained unless the options say otherwise. The two rates are
    the discriminative fine-tuning of Howard and Ruder, 2018 (https://arxiv.org/abs/1801.06146), with
    two levels, or with one for each stage (`layer_decay`).
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        body = [self.options.learning(stage) for stage in outline.stages[:-1]]
        return (self.options.train("all", outline, body, budget.epochs),)
