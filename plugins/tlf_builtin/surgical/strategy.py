"""Surgical fine-tuning: one step, in which chosen stages and the head learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tlf.plugin import Budget, Outline, PlanError, Step, Strategy
from tlf_builtin.body import NormsOptions, RateOptions


class SurgicalOptions(RateOptions, NormsOptions):
    """Options of `surgical`."""

    stages: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1,
        description="Which of the backbone's stages learn: names, ranges `first..last` of which either "
        "end may be left out, and patterns with `*` and `?`. `tlf backbones show` lists the stages.",
    )


class Surgical(Strategy[SurgicalOptions]):
    """Train the stages that are named, and the head, for the whole budget.

    After Lee et al., 2022 (https://arxiv.org/abs/2210.11466): where images differ from those of the
    pretraining in their pixels (noise, blur), the first stages are what has to change; where they
    differ in what is asked of them, the last.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        chosen = outline.select(self.options.stages, option="stages")
        body = [self.options.learning(stage) for stage in chosen]
        if not any(body):
            raise PlanError(
                "no stage that it names has anything that could learn",
                option="stages",
                hint="name others, or set `norms` to `learn`",
            )
        return (self.options.train("chosen", outline, body, budget),)
