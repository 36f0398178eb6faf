"""The values that a strategy's plan is made of.

A plan is a sequence of steps, and a step is plain data: it can be printed before anything runs,
stored with the run, and compared with another. The engine has one loop that carries steps out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Budget:
    """What a strategy may spend.

    Attributes:
        epochs: How many passes over the training images, at least 1. The `Train` steps of a plan must
            add up to exactly this many, so that strategies can be compared fairly. A plan without
            any spends none of them.
        images: How many training images there are, at least 1, before any are held out to choose on.
    """

    epochs: int
    images: int = 1


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """A step ends before its epochs are spent: once the images to choose on have got no better.

    Better is more images right, or as many at a lower loss. A step that may end so ends with the
    weights of its best epoch, and leaves the epochs that it did not need to the step after it.

    Attributes:
        patience: After how many epochs without an improvement, at least 1.
    """

    patience: int = 1


@dataclass(frozen=True, kw_only=True)
class TopStages:
    """Stages that the run itself picks, when the step begins, and names in its report.

    Attributes:
        count: How many learn, at least 1; all there are, if there are fewer.
        among: Names of the stages and groups to pick from, which the step does not name itself. Of a
            stage that is picked, those of its groups learn that are meant here.
        by: `relative-gradient-norm`: the stages with the longest gradient for the length of their
            weights, of the mean loss of training images (Lee et al., 2022,
            https://arxiv.org/abs/2210.11466, section 4). The gradient comes through the head, so the
            head should be fitted before.
    """

    count: int
    among: tuple[str, ...]
    by: Literal["relative-gradient-norm"] = "relative-gradient-norm"


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train some groups by gradient descent; all others are frozen.

    Attributes:
        name: What the step is called in plans and reports. No two steps of a plan have one name.
        trainable: Names of the stages and groups that learn, at least one; or a selector, which the
            run resolves when the step begins.
        epochs: How many passes over the training images, at least 1.
        rates: Factors on `training.learning_rate` by stage or group name; a group's own name goes
            before its stage's. What is not named has factor 1. Each must be finite and above 0, and
            of something that trains in this step: a rate that governs nothing is a mistake. (A stage
            without parameters may have one.)
        until: Ends the step early, with the weights of its best epoch; None for all of its epochs.
        on_no_gain: `undo`: if no epoch is better, on the images to choose on, than what there was
            before the step, that is put back; else the weights of the best epoch stay. `keep`: what
            there was before counts for nothing.
        pull: How strongly the backbone's parameters are drawn to the values that they had at the start
            of the run, at least 0: after each batch by this share, times their learning rate, of the
            way. They do not decay toward 0 then.
        begin: The earlier step whose end this one begins from; None for the one before it. The
            learning rate's schedule begins anew, and ends with the last step before the next such one.
    """

    name: str
    trainable: tuple[str | TopStages, ...]
    epochs: int
    rates: Mapping[str, float] = field(default_factory=dict)
    until: Plateau | None = None
    on_no_gain: Literal["keep", "undo"] = "keep"
    pull: float = 0.0
    begin: str | None = None


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


@dataclass(frozen=True, kw_only=True)
class Combine:
    """Average the weights that the network had at the end of some earlier steps. Takes no epochs.

    Running statistics of norms are averaged like weights, so such plans had better leave norms frozen.

    Attributes:
        name: What the step is called in plans and reports. No two steps of a plan have one name.
        snapshots: Names of the earlier steps, at least two.
        weights: `uniform`: all count alike. `greedy`: from the best of them on, each next best is
            taken in unless the average then has fewer of the images to choose on right (Wortsman et
            al., 2022, https://arxiv.org/abs/2203.05482, recipe 1). Numbers in [0, 1]: the share that
            the second of two snapshots has, chosen on those images; a single one is taken as it is
            (Wortsman et al., 2021, https://arxiv.org/abs/2109.01903).
    """

    name: str
    snapshots: tuple[str, ...]
    weights: Literal["uniform", "greedy"] | tuple[float, ...] = "uniform"


#: What a plan is made of.
Step = Train | Solve | Combine


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Another strategy, which a strategy has picked to do the work.

    Attributes:
        strategy: Its name.
        options: Its options.
        why: Why it was picked, in a sentence. Plans and reports show it.
    """

    strategy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    why: str
