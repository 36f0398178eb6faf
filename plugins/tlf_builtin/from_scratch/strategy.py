"""From scratch: one step, in which everything learns, from random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tlf.plugin import Budget, Options, Outline, Step, Strategy, Train


class FromScratch(Strategy[Options]):
    """Ignore the pretrained weights and train everything at the full rate.

    The control of every transfer experiment: what it lacks to the others, the pretrained weights
    brought.
    """

    pretrained: ClassVar[bool] = False

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        learning = tuple(stage.name for stage in outline.stages if stage.groups)
        return (Train(name="all", trainable=learning, epochs=budget.epochs),)
