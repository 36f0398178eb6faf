"""Feature extraction: one step, in which only the head learns."""

from __future__ import annotations

from collections.abc import Sequence

from tlf.plugin import Budget, Options, Outline, Step, Strategy, Train


class FeatureExtraction(Strategy[Options]):
    """Train the head on the features of the frozen backbone, for the whole budget.

    Described as using a network's features off the shelf by Razavian et al., 2014
    (https://arxiv.org/abs/1403.6382).
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        return (Train(name="head", trainable=(outline.head,), epochs=budget.epochs),)
