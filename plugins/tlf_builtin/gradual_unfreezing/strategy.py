"""Gradual unfreezing: a step for the head, then one for each thaw, from the top down."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Literal

from pydantic import Field

from tlf.plugin import Budget, Outline, Plateau, Step, Strategy, Train
from tlf_builtin.body import NormsOptions, RateOptions, shares_of


class GradualUnfreezingOptions(RateOptions, NormsOptions):
    """Options of `gradual-unfreezing`."""

    thaws: int = Field(
        default=3,
        ge=1,
        le=100,
        description="In how many steps the backbone thaws, after the head's own. Each thaws about as "
        "many stages as the others. With fewer epochs, there are fewer steps.",
    )
    depth: int | None = Field(
        default=None,
        ge=1,
        description="How many of the backbone's stages thaw in the end, counted from the top; null "
        "for all.",
    )
    advance: Literal["even", "on-plateau"] = Field(
        default="even",
        description="`even`: the steps share the epochs about equally. `on-plateau`: a step ends once "
        "selection data have got no better for `patience` epochs, and leaves the rest of its share to "
        "the next; one that did not pay is undone.",
    )
    patience: int = Field(
        default=1, ge=1, le=1000, description="Of `on-plateau`, in epochs without a gain."
    )
    body_rate: float = Field(
        default=0.03,
        gt=0.0,
        le=1.0,
        description="Learning rate of what thaws first, as a fraction of `training.learning_rate`.",
    )
    rate_decay: float = Field(
        default=1 / 2.6,
        gt=0.0,
        le=1.0,
        description="What the rate is multiplied by from each thaw to the next: lower layers are more "
        "general, and need to move less. 1/2.6 is Howard and Ruder's.",
    )


class GradualUnfreezing(Strategy[GradualUnfreezingOptions]):
    """Thaw the network from the top down, within the one budget of epochs.

    After Howard and Ruder, 2018 (https://arxiv.org/abs/1801.06146), sections 3.2 and 3.3: the head
    learns first, then one more part of the network at a time, each at a lower rate than the one
    above it.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return a step for the head and one for each thaw, of about equally many epochs."""
        parts = self._parts(outline, most=budget.epochs - 1)
        learning = list(accumulate(parts, initial=(outline.head,)))
        rates = self._rates(outline, parts)
        names = ["head", *(f"thaw-{number}" for number in range(1, len(parts) + 1))]
        waits = self.options.advance == "on-plateau"
        return [
            Train(
                name=name,
                trainable=groups,
                epochs=epochs,
                rates={group: rate for group, rate in rates.items() if group in groups},
                until=Plateau(patience=self.options.patience) if waits else None,
                on_no_gain="undo" if waits else "keep",
            )
            for name, groups, epochs in zip(
                names, learning, shares_of(budget.epochs, len(names)), strict=True
            )
        ]

    def _rates(self, outline: Outline, parts: Sequence[Sequence[str]]) -> dict[str, float]:
        """Return the factor of each group: those of its stage, and of when it thaws."""
        stages = [self.options.learning(stage) for stage in outline.stages[:-1]]
        thawed = {group: index for index, part in enumerate(parts) for group in part}
        learning = [[group for group in stage if group in thawed] for stage in stages]
        return {
            group: rate * self.options.rate_decay ** thawed.get(group, 0)
            for group, rate in self.options.rates(outline, learning).items()
        }

    def _parts(self, outline: Outline, most: int) -> list[tuple[str, ...]]:
        """Return the groups that each thaw adds, the top of the network first."""
        stages = [self.options.learning(stage) for stage in reversed(outline.stages[:-1])]
        groups = [stage for stage in stages if stage][: self.options.depth]
        sizes = shares_of(len(groups), min(self.options.thaws, most, len(groups)))
        ends = list(accumulate(sizes, initial=0))
        return [
            tuple(group for stage in groups[start:end] for group in stage)
            for start, end in pairwise(ends)
        ]
