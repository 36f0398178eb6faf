"""Surgical fine-tuning: chosen stages and the head learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from tlf.plugin import Budget, Outline, PlanError, Solve, Step, Strategy, TopStages
from tlf_builtin.body import NormsOptions, RateOptions


class SurgicalOptions(RateOptions, NormsOptions):
    """Options of `surgical`."""

    stages: (
        Literal["auto"]
        | Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    ) = Field(
        default="auto",
        description="Which of the backbone's stages learn: names, ranges `first..last` of which either "
        "end may be left out, and patterns with `*` and `?`. `tlf backbones show` lists the stages. "
        "`auto`: those with the longest gradients for the length of their weights.",
    )
    count: int = Field(default=3, ge=1, le=1000, description="How many stages `auto` picks.")


class Surgical(Strategy[SurgicalOptions]):
    """Train the stages that are named, and the head, for the whole budget.

    After Lee et al., 2022 (https://arxiv.org/abs/2210.11466): where images differ from those of the
    pretraining in their pixels (noise, blur), the first stages are what has to change; where they
    differ in what is asked of them, the last. `auto` is their Auto-RGN with a choice of stages in the
    place of a rate for each. They begin from a head that is trained; ours is new, and its gradients
    would be noise, so `auto` solves for it first.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step, or the two of `auto`."""
        named = self.options.stages
        auto = named == "auto"
        stages = outline.stages[:-1] if auto else outline.select(named, option="stages")
        body = [self.options.learning(stage) for stage in stages]
        if not any(body):
            raise PlanError(
                "no stage that it names has anything that could learn",
                option="stages",
                hint="name others, or set `norms` to `learn`",
            )
        step = self.options.train("chosen", outline, body, budget.epochs)
        if not auto:
            return (step,)
        among = tuple(group for groups in body for group in groups)
        picked = TopStages(count=self.options.count, among=among)
        return Solve(name="probe"), replace(step, trainable=(picked, outline.head))
