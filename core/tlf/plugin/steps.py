"""The values that a strategy's plan is made of.

A plan is a sequence of steps, and a step is plain data: it can be printed before anything runs,
stored with the run, and compared with another. The engine has one loop that carries steps out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Budget:
    """What a strategy may spend.

    Attributes:
        epochs: How many passes over the training images, at least 1. The steps of a plan must add
            up to exactly this many, so that strategies can be compared fairly.
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


#: What a strategy may return. One kind of step so far.
Step = Train
