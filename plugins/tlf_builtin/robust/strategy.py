"""Robust fine-tuning: a probe, fine-tuning from it, and an average of weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from tlf.plugin import Budget, Combine, Outline, Solve, Step, Strategy
from tlf_builtin.body import shares_of
from tlf_builtin.lp_ft.strategy import LpFtOptions


class RobustOptions(LpFtOptions):
    """Options of `robust`."""

    shares: tuple[Annotated[float, Field(ge=0.0, le=1.0)], ...] = Field(
        default=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        min_length=1,
        max_length=100,
        description="Shares of the fine-tuned network in the average with the probe, to choose from on "
        "selection data. A single one is taken as it is.",
    )
    trainings: int = Field(
        default=1,
        ge=1,
        le=100,
        description="How many times the network is fine-tuned from the probe, each for an equal part "
        "of the epochs and in another order of the images. What they come to is averaged first.",
    )
    soup: Literal["uniform", "greedy"] = Field(
        default="uniform",
        description="Which of the trainings are averaged: all, or those that do no harm on selection "
        "data.",
    )


class Robust(Strategy[RobustOptions]):
    """Fine-tune from a linear probe, then average the weights of both.

    After Wortsman et al., 2021 (https://arxiv.org/abs/2109.01903): between the pretrained network with
    a head that fits it and the fine-tuned one lie networks that do as well on images like those of the
    training, and better on others. The averages of several trainings are the model soups of Wortsman
    et al., 2022 (https://arxiv.org/abs/2203.05482). The first two steps are those of `lp-ft`.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the probe, the trainings, their average if there are several, and the last average."""
        body = [self.options.learning(stage) for stage in outline.stages[:-1]]
        count = min(self.options.trainings, budget.epochs)
        names = ["all"] if count == 1 else [f"all-{number + 1}" for number in range(count)]
        trainings = [
            replace(
                self.options.train(name, outline, body, epochs),
                begin="probe" if count > 1 else None,
            )
            for name, epochs in zip(names, shares_of(budget.epochs, count), strict=True)
        ]
        steps: list[Step] = [
            Solve(name="probe", method="lbfgs", grid=self.options.strengths),
            *trainings,
        ]
        if count > 1:
            steps.append(Combine(name="soup", snapshots=tuple(names), weights=self.options.soup))
        tuned = steps[-1].name
        steps.append(Combine(name="mix", snapshots=("probe", tuned), weights=self.options.shares))
        return steps
