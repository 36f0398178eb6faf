"""The values that a strategy's plan is made of.

A plan is a sequence of steps, and a step is plain data: it can be printed before anything runs,
stored with the run, and compared with another. The engine has one loop that carries steps out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Budget:
    """What a strategy may spend.

    Attributes:
        epochs: How many passes over the training images, at least 1. The `Train` steps of a plan must
            add up to exactly this many, so that strategies can be compared fairly. A plan without
            any spends none of them.
    """

    epochs: int


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train some groups by gradient descent; all others are frozen.

    Attributes:
        name: What the step is called in plans and reports. No two steps of a plan have one name.
        trainable: Names of the stages and groups that learn, at least one.
        epochs: How many passes over the training images, at least 1.
        rates: Factors on `training.learning_rate` by stage or group name; a group's own name goes
            before its stage's. What is not named has factor 1. Each must be finite and above 0, and
            of something that trains in this step: a rate that governs nothing is a mistake. (A stage
            without parameters may have one.)
    """

    name: str
    trainable: tuple[str, ...]
    epochs: int
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Solve:
    """Fit the head on the features of the backbone, which is frozen as a whole, at once.

    Takes no epochs: a convex problem has one answer, and neighbours have nothing to learn. Of each
    image it looks at the views that the first ten epochs of the budget would train on.

    Attributes:
        name: What the step is called in plans and reports. No two steps of a plan have one name.
        method: `lbfgs`: multinomial logistic regression on standardised features, full batch.
            `knn`: the nearest training images vote, by cosine similarity; a control, which needs no
            training. The head is then those images, so it must be the plan's last step.
        grid: Settings to choose from on selection data: strengths of the L2 penalty for `lbfgs`, each
            above 0; numbers of neighbours for `knn`, each at least 1. A single one is taken as it is;
            the engine's own grid if there are none.
    """

    name: str
    method: Literal["lbfgs", "knn"] = "lbfgs"
    grid: tuple[float, ...] = ()


#: What a strategy may return.
Step = Train | Solve
