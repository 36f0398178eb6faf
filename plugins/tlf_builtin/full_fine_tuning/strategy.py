"""Full fine-tuning: one step, in which every layer learns."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from tlf.plugin import Budget, Outline, Step, Strategy, Train
from tlf_builtin.full_fine_tuning.norms import NormsOptions


class FullFineTuningOptions(NormsOptions):
    """Options of `full-fine-tuning`."""

    body_rate: float = Field(
        default=0.03,
        gt=0.0,
        le=1.0,
        description="The backbone's learning rate as a fraction of `training.learning_rate`. Small, "
        "because a new head's first gradients are noise to features that are already good.",
    )


class FullFineTuning(Strategy[FullFineTuningOptions]):
    """Train every layer for the whole budget, the backbone at a fraction of the head's rate.

    Normalisations stay as they were pretrained unless the options say otherwise. The two rates are
    the discriminative fine-tuning of Howard and Ruder, 2018 (https://arxiv.org/abs/1801.06146), with
    two levels.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        body = [group for stage in outline.stages[:-1] for group in self.options.learning(stage)]
        return (
            Train(
                name="all",
                trainable=(*body, outline.head),
                epochs=budget.epochs,
                rates=dict.fromkeys(body, self.options.body_rate),
            ),
        )
