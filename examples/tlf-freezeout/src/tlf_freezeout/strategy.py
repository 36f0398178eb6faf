"""FreezeOut: everything learns at first, then stages are frozen one by one from the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from tlf.plugin import Budget, Options, Outline, StageOutline, Strategy, Train


class ProgressiveOptions(Options):
    """Options of `freezeout/progressive`."""

    first: float = Field(
        default=0.5,
        gt=0.0,
        le=1.0,
        description="Share of the epochs after which the first stage is frozen; 1 freezes none.",
    )
    schedule: Literal["cubic", "linear"] = Field(
        default="cubic",
        description="When the stages above it are frozen. `linear`: at equal distances. `cubic`: at "
        "times whose cube roots are at equal distances, which is earlier.",
    )
    body_rate: float = Field(
        default=0.03,
        gt=0.0,
        le=1.0,
        description="The backbone's learning rate as a fraction of `training.learning_rate`.",
    )


class Progressive(Strategy[ProgressiveOptions]):
    """Train everything, and freeze the backbone's stages from the bottom up, each for good.

    After Brock, Lim, Ritchie and Weston, 2017 (https://arxiv.org/abs/1706.04983), as far as the
    values of `Train` can say it. There, each layer has a cosine of its own, which takes its learning
    rate to 0 at the moment when it is frozen. Here, all follow the schedule of the run, and a stage
    is frozen at the rate that this has come to. Moments are whole epochs.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Train]:
        """Return a step in which everything learns, and one from each freezing to the next."""
        body = [_learning(stage) for stage in outline.stages[:-1] if _learning(stage)]
        ends = self._ends(len(body), budget.epochs)
        steps: list[Train] = []
        start = 0
        for end in sorted({*ends, budget.epochs}):
            left = [groups for groups, last in zip(body, ends, strict=True) if last > start]
            learning = [group for groups in left for group in groups]
            steps.append(
                Train(
                    name=f"freeze-{len(steps)}" if steps else "all",
                    trainable=(*learning, outline.head),
                    epochs=end - start,
                    rates=dict.fromkeys(learning, self.options.body_rate),
                )
            )
            start = end
        return steps

    def _ends(self, stages: int, epochs: int) -> list[int]:
        """Return after how many epochs each stage is frozen, the lowest first.

        The highest of them learns to the end, as the last layer of the paper does.

        Args:
            stages: How many stages learn.
            epochs: How many epochs there are.
        """
        power = {"cubic": 3, "linear": 1}[self.options.schedule]
        first = self.options.first ** (1 / power)
        depths = [depth / max(1, stages - 1) for depth in reversed(range(stages))]
        shares = [(1 - depth * (1 - first)) ** power for depth in depths]
        # The inner rounding: the cube of a cube root may lie a hair beside a half, on either side.
        return [max(1, round(round(share * epochs, 6))) for share in shares]


def _learning(stage: StageOutline) -> list[str]:
    """Return the groups of a stage that learn: all but norms.

    Batches of a few images are a poor estimate of what pretraining has made of many.
    """
    return [group for group in stage.groups if not group.endswith(":norm")]
