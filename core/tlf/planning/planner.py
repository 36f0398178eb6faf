"""The planner: checks what a strategy proposes and resolves it to groups, counts and rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tlf.planning.caching import StepCache
from tlf.plugin import Budget, Outline, Solve, Step, Train


@dataclass(frozen=True)
class PlannedStep:
    """One step with everything resolved.

    Attributes:
        name: What the strategy calls it.
        kind: `train`, by gradient descent, or how the head is solved for: `lbfgs` or `knn`.
        first_epoch: Number of epochs that lie before it.
        epochs: Number of epochs that it takes.
        trainable: Groups that learn, in the order of the network.
        frozen: All other groups.
        rates: Peak learning rate of each group that learns.
        trainable_parameters: How many numbers learn.
        frozen_parameters: How many do not.
        frozen_stages: Length of the frozen prefix: how many stages from the first on hold no group
            that learns.
        grid: Settings that a solved head is chosen from; none for the engine's own.
        cache: What is kept of the frozen part, and where.
    """

    name: str
    kind: Literal["train", "lbfgs", "knn"]
    first_epoch: int
    epochs: int
    trainable: tuple[str, ...]
    frozen: tuple[str, ...]
    rates: Mapping[str, float]
    trainable_parameters: int
    frozen_parameters: int
    frozen_stages: int
    grid: tuple[float, ...] = ()
    cache: StepCache = field(default_factory=StepCache)


@dataclass(frozen=True)
class RunPlan:
    """Everything that a run will do, with nothing left to choose.

    Attributes:
        name: The run's name.
        strategy: Name and options of the strategy.
        backbone: Name and options of the backbone.
        weights: Where the backbone's weights come from: `default`, `none`, or a file.
        head: Name and options of the head.
        transforms: Name and options of the transform, with the values it resolved to.
        data: Name and options of the data source, with the number of images by split.
        classes: Names of the classes.
        stages: Name, parameters, FLOPs and output shape of each stage, the head last.
        steps: What is trained when.
        batches_per_epoch: Optimizer steps in an epoch.
        training: The spec's training section.
        cache: The spec's cache section.
        device: Name, precision, memory format, chunk size and threads, with the reason.
        metrics_on: The split whose metrics are reported.
        weights_from: Which weights are reported: the last epoch's.
        seed: The run's seed.
    """

    name: str
    strategy: Mapping[str, Any]
    backbone: Mapping[str, Any]
    weights: str
    head: Mapping[str, Any]
    transforms: Mapping[str, Any]
    data: Mapping[str, Any]
    classes: tuple[str, ...]
    stages: tuple[Mapping[str, Any], ...]
    steps: tuple[PlannedStep, ...]
    batches_per_epoch: int
    training: Mapping[str, Any]
    cache: Mapping[str, Any]
    device: Mapping[str, Any]
    metrics_on: str
    weights_from: str
    seed: int

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return sum(step.epochs for step in self.steps)

    def place_of(self, cut: int) -> str:
        """Return where a cut of the backbone lies, in words: `pooled`, or after which stage.

        Args:
            cut: How many stages lie before it, at least 1.
        """
        # The head is the last of the stages, and no part of the backbone.
        pooled = cut == len(self.stages) - 1
        return "pooled" if pooled else f"after {self.stages[cut - 1]['name']}"

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)


def plan_steps(
    steps: Sequence[Step], outline: Outline, budget: Budget, learning_rate: float
) -> tuple[PlannedStep, ...]:
    """Resolve the steps of a strategy.

    Args:
        steps: What the strategy returned.
        outline: The network.
        budget: What the strategy was given.
        learning_rate: Peak rate that the steps' factors scale.

    Raises:
        ValueError: The steps break a rule; the message lists all that is wrong.
    """
    problems = list(check_steps(steps, outline, budget))
    if problems:
        raise ValueError("; ".join(problems))
    planned = []
    first_epoch = 0
    for step in steps:
        if isinstance(step, Solve):
            planned.append(_plan_solve(step, outline, first_epoch))
            continue
        planned.append(_plan_train(step, outline, first_epoch, learning_rate))
        first_epoch += step.epochs
    return tuple(planned)


def check_steps(steps: Sequence[Step], outline: Outline, budget: Budget) -> Iterator[str]:
    """Yield a sentence for each rule that the steps break.

    Args:
        steps: What a strategy returned.
        outline: The network.
        budget: What the strategy was given.
    """
    if not steps:
        yield "the plan has no steps"
    spent, names, trains = 0, set(), False
    for number, step in enumerate(steps, start=1):
        where = f"step {number}"
        problems = list(_check_form(step, where))
        yield from problems
        trains = trains or isinstance(step, Train)
        if problems:
            continue
        if step.name in names:
            yield f"{where} is called `{step.name}`, as one before it is"
        names.add(step.name)
        if isinstance(step, Train):
            yield from _check_train(step, outline, where)
            spent += step.epochs
        else:
            yield from _check_solve(step, where, last=number == len(steps))
    if trains and spent != budget.epochs:
        yield f"the steps take {spent} epochs, the budget is {budget.epochs}"


def _check_form(step: object, where: str) -> Iterator[str]:
    """Yield a sentence for each value of a step that is of a wrong type."""
    if not isinstance(step, Train | Solve):
        yield f"{where} is a {type(step).__name__}, neither a Train nor a Solve"
        return
    if not isinstance(step.name, str) or not step.name:
        yield f"{where} is called `{step.name!r}`, which is no text"
    if isinstance(step, Solve):
        if step.method not in ("lbfgs", "knn"):
            yield f"{where} solves by `{step.method!r}`; there are `lbfgs` and `knn`"
        if not isinstance(step.grid, Sequence) or isinstance(step.grid, str | bytes):
            yield f"{where} has the grid `{step.grid!r}`, which is no tuple of numbers"
        return
    if not _are_texts(step.trainable):
        yield f"{where} trains `{step.trainable!r}`, which is no tuple of names"
    if type(step.epochs) is not int:
        yield f"{where} takes `{step.epochs!r}` epochs, which is no whole number"
    if not isinstance(step.rates, Mapping) or not _are_texts(list(step.rates)):
        yield f"{where} has the rates `{step.rates!r}`, which are no numbers by name"


def _are_texts(values: object) -> bool:
    return (
        isinstance(values, Sequence)
        and not isinstance(values, str | bytes)
        and all(isinstance(value, str) for value in values)
    )


def _check_train(step: Train, outline: Outline, where: str) -> Iterator[str]:
    known = {stage.name for stage in outline.stages} | set(outline.groups)
    if step.epochs < 1:
        yield f"{where} takes `{step.epochs}` epochs; at least 1 is needed"
    for name in [*step.trainable, *step.rates]:
        if name not in known:
            yield f"{where} names `{name}`, which is no stage or group of this network"
    learning = set(outline.expand(name for name in step.trainable if name in known))
    if not learning:
        yield f"{where} trains nothing"
    for name, rate in step.rates.items():
        if not _is_rate(rate):
            yield f"{where} gives `{name}` the rate `{rate}`; it must be finite and above 0"
        # A stage without parameters has no groups, and may have a rate like all others.
        groups = outline.expand([name]) if name in known else ()
        if groups and not learning.intersection(groups):
            yield f"{where} gives a rate to `{name}`, which does not train in it"


def _check_solve(step: Solve, where: str, *, last: bool) -> Iterator[str]:
    for value in step.grid:
        if step.method == "lbfgs" and not _is_rate(value):
            yield f"{where} has the strength `{value}`; it must be finite and above 0"
        if step.method == "knn" and (type(value) is not int or value < 1):
            yield f"{where} has `{value}` neighbours; there must be a whole number, at least 1"
    if step.method == "knn" and not last:
        yield f"{where} solves by `knn`, after which nothing can be trained, and is not the last"


def _is_rate(rate: object) -> bool:
    is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
    return is_number and math.isfinite(rate) and rate > 0  # type: ignore[arg-type,operator]


def _plan_train(
    step: Train, outline: Outline, first_epoch: int, learning_rate: float
) -> PlannedStep:
    trainable = outline.expand(step.trainable)
    frozen = tuple(group for group in outline.groups if group not in set(trainable))
    return PlannedStep(
        name=step.name,
        kind="train",
        first_epoch=first_epoch,
        epochs=step.epochs,
        trainable=trainable,
        frozen=frozen,
        rates={group: learning_rate * _factor(step.rates, group) for group in trainable},
        trainable_parameters=outline.count(trainable),
        frozen_parameters=outline.count(frozen),
        frozen_stages=_frozen_stages(outline, set(trainable)),
    )


def _plan_solve(step: Solve, outline: Outline, first_epoch: int) -> PlannedStep:
    head = outline.expand([outline.head])
    frozen = tuple(group for group in outline.groups if group not in head)
    return PlannedStep(
        name=step.name,
        kind=step.method,
        first_epoch=first_epoch,
        epochs=0,
        trainable=head,
        frozen=frozen,
        rates={},
        trainable_parameters=outline.count(head),
        frozen_parameters=outline.count(frozen),
        frozen_stages=len(outline.stages) - 1,
        grid=tuple(step.grid),
    )


def _factor(rates: Mapping[str, float], group: str) -> float:
    stage = group.rpartition(":")[0]
    return rates.get(group, rates.get(stage, 1.0))


def _frozen_stages(outline: Outline, trainable: set[str]) -> int:
    for index, stage in enumerate(outline.stages):
        if trainable.intersection(stage.groups):
            return index
    return len(outline.stages)
