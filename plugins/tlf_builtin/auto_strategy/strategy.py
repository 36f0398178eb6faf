"""The strategy that did best on tasks of about as many images: a table of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from tlf.plugin import Budget, Choice, Options, Outline, Step, Strategy


class Evidence(NamedTuple):
    """What was measured with so many images a class.

    Attributes:
        images: Images a class to train on.
        best: The strategy with the highest mean accuracy over the tasks.
        tasks: Which these were.
    """

    images: int
    best: str
    tasks: str


#: From the benchmark `strategies`, a test compares it with the results. All with default options, ten
#: epochs and MobileNetV2's ImageNet weights.
EVIDENCE = (
    Evidence(10, "full-fine-tuning", "photographs of ants and bees, and digits"),
    Evidence(110, "full-fine-tuning", "photographs of ants and bees, and digits"),
)


class AutoOptions(Options):
    """Options of `auto`: there are none."""


class Auto(Strategy[AutoOptions]):
    """Take the strategy that did best on tasks with about as many training images a class.

    It is chosen before anything is seen of the images: by how many there are, and not by trying. What
    is best on images of one's own, `tlf compare` finds out.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step] | Choice:
        """Return the choice."""
        (classes,) = outline.stages[-1].output_shape
        each = max(1, budget.images) / classes
        nearest = min(EVIDENCE, key=lambda one: abs(math.log(each / one.images)))
        return Choice(
            strategy=nearest.best,
            why=f"{each:.3g} images a class, and with {nearest.images} it did best on "
            f"{nearest.tasks} (docs/strategies.md)",
        )
