"""Full fine-tuning: one step, in which everything learns."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from tlf.plugin import Budget, Options, Outline, Step, Strategy, Train


class FullFineTuningOptions(Options):
    """Options of `full-fine-tuning`."""

    body_rate: float = Field(
        default=0.02,
        gt=0.0,
        le=1.0,
        description="The backbone's learning rate as a fraction of `training.learning_rate`. Small, "
        "because a new head's first gradients are noise to features that are already good.",
    )


class FullFineTuning(Strategy[FullFineTuningOptions]):
    """Train every group for the whole budget, the backbone at a fraction of the head's rate.

    The two rates are the discriminative fine-tuning of Howard and Ruder, 2018
    (https://arxiv.org/abs/1801.06146), with two levels.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        body = [stage.name for stage in outline.stages[:-1] if stage.groups]
        return (
            Train(
                name="all",
                trainable=(*body, outline.head),
                epochs=budget.epochs,
                rates=dict.fromkeys(body, self.options.body_rate),
            ),
        )
