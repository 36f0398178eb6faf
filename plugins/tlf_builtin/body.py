"""What the strategies that train the backbone have in common: which groups learn, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tlf.plugin import Options, Outline, StageOutline, Train


class NormsOptions(Options):
    """The option `norms`."""

    norms: Literal["frozen", "learn"] = Field(
        default="frozen",
        description="Whether the backbone's normalisations keep their pretrained statistics and "
        "parameters, or learn. Batches of a few images are a poor estimate of either.",
    )

    def learning(self, stage: StageOutline) -> tuple[str, ...]:
        """Return the groups of a stage that learn when the stage does.

        Args:
            stage: A stage of the backbone.
        """
        return tuple(
            group for group in stage.groups if self.norms == "learn" or not group.endswith(":norm")
        )


class RateOptions(Options):
    """Options of the rates at which backbone and head learn.

    One rate for each layer is the discriminative fine-tuning of Howard and Ruder, 2018
    (https://arxiv.org/abs/1801.06146); that they fall by one factor from each layer to the one before
    it is Clark et al., 2020 (https://arxiv.org/abs/2003.10555).
    """

    body_rate: float = Field(
        default=0.03,
        gt=0.0,
        le=1.0,
        description="The backbone's learning rate as a fraction of `training.learning_rate`. Small, "
        "because a new head's first gradients are noise to features that are already good.",
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="What the backbone's rate is multiplied by from each stage that learns to the "
        "one before it: lower layers are more general, and need to move less. 1 for one rate.",
    )
    head_multiplier: float = Field(
        default=1.0,
        gt=0.0,
        le=100.0,
        description="What the head's learning rate is multiplied by.",
    )

    def rates(self, outline: Outline, body: Sequence[Sequence[str]]) -> dict[str, float]:
        """Return the factor of each group that learns on `training.learning_rate`.

        Args:
            outline: The network.
            body: The groups that learn, by stage, in the order of the network; stages of which
                nothing learns may be there or not.
        """
        learning = [groups for groups in body if groups]
        rates = {
            group: self.body_rate * self.layer_decay**depth
            for depth, groups in enumerate(reversed(learning))
            for group in groups
        }
        return {**rates, outline.head: self.head_multiplier}

    def train(
        self, name: str, outline: Outline, body: Sequence[Sequence[str]], epochs: int
    ) -> Train:
        """Return a step that trains part of the backbone, and the head.

        Args:
            name: What the step is called.
            outline: The network.
            body: See `rates`.
            epochs: How many it takes.
        """
        return Train(
            name=name,
            trainable=(*(group for groups in body for group in groups), outline.head),
            epochs=epochs,
            rates=self.rates(outline, body),
        )


class FewParametersOptions(RateOptions):
    """The same where only a few of the backbone's parameters learn: they have to do what all would.

    The default is what was best for `norm-tuning` on held-out images. Ben Zaken et al., 2022
    (https://arxiv.org/abs/2106.10199) take rates that are far above those of full fine-tuning too.
    """

    body_rate: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="The learning rate of what learns in the backbone, as a fraction of "
        "`training.learning_rate`.",
    )


def shares_of(total: int, count: int) -> list[int]:
    """Return whole numbers with a given sum, as equal as can be, the larger ones last.

    Args:
        total: Their sum.
        count: How many there are.
    """
    share, rest = divmod(total, max(1, count))
    return [share + (index >= count - rest) for index in range(count)]
