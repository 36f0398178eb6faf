"""The planner: checks what a strategy proposes and resolves it to groups, counts and rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from tlf.planning.caching import StepCache
from tlf.planning.rules import check_steps
from tlf.plugin import Budget, Combine, Outline, Solve, Step, Task, TopStages, Train


@dataclass(frozen=True)
class Selector:
    """What the run picks when a step begins.

    Attributes:
        by: What it goes by.
        count: How many stages it picks.
        among: Groups of the stages to pick from.
    """

    by: str
    count: int
    among: tuple[str, ...]


@dataclass(frozen=True)
class PlannedStep:
    """One step with everything resolved, but for what the run picks when the step begins.

    Attributes:
        name: What the strategy calls it.
        kind: `train`, by gradient descent; how the head is solved for, `lbfgs` or `knn`; or `combine`,
            averages of weights.
        first_epoch: Number of epochs that lie before it.
        epochs: Number of epochs that it takes.
        trainable: Groups that learn, or change as averages do, in the order of the network.
        frozen: All other groups.
        rates: Peak learning rate of each group that learns.
        trainable_parameters: How many numbers learn.
        frozen_parameters: How many do not.
        frozen_stages: Length of the frozen prefix: how many stages from the first on hold no group
            that learns.
        grid: Settings that a solved head is chosen from; none for the engine's own.
        schedule: First epoch and number of epochs that the learning rate's schedule spans.
        patience: After how many epochs without a gain it ends; None for all of its epochs.
        keep_best: Whether it ends with the weights of its best epoch, however long it takes.
        undo: Whether what was before the step is put back if no epoch of it is better.
        pull: How strongly the backbone's parameters are drawn to where they began.
        begin: The step whose end it begins from; None for the one before it.
        selector: What the run picks; until then, all that it picks from counts as learning.
        snapshots: Steps whose weights are averaged.
        weights: How they are: see `tlf.plugin.Combine`.
        cache: What is kept of the frozen part, and where.
    """

    name: str
    kind: Literal["train", "lbfgs", "knn", "combine"]
    first_epoch: int
    epochs: int
    trainable: tuple[str, ...]
    frozen: tuple[str, ...]
    rates: Mapping[str, float]
    trainable_parameters: int
    frozen_parameters: int
    frozen_stages: int
    grid: tuple[float, ...] = ()
    schedule: tuple[int, int] = (0, 0)
    patience: int | None = None
    keep_best: bool = False
    undo: bool = False
    pull: float = 0.0
    begin: str | None = None
    selector: Selector | None = None
    snapshots: tuple[str, ...] = ()
    weights: str | tuple[float, ...] = ()
    cache: StepCache = field(default_factory=StepCache)

    @property
    def solves(self) -> bool:
        """Whether it solves for the head."""
        return self.kind in ("lbfgs", "knn")

    @property
    def watched(self) -> bool:
        """Whether its epochs are compared, on the images to choose on."""
        return self.patience is not None or self.undo or self.keep_best

    @property
    def chooses(self) -> bool:
        """Whether it chooses among weights, which must not have been trained on what it looks at."""
        shares = isinstance(self.weights, tuple) and len(set(self.weights)) > 1
        mixed = shares or self.weights == "greedy"
        return self.watched or mixed


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
        device: Name, precision, memory format, chunk size, threads, and whether it is deterministic,
            with the reason.
        metrics_on: The split whose metrics are reported.
        selection_on: The images to choose on: `validation` if a test split is reported; else
            `selection`, held out of train, if a step chooses among trained weights.
        weights_from: Which weights are reported.
        seed: The run's seed.
        task: Whether an image is of exactly one class, or of any number of them.
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
    selection_on: str | None
    weights_from: str
    seed: int
    task: Task = "single-label"

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return sum(step.epochs for step in self.steps)

    @property
    def keeps_best(self) -> bool:
        """Whether the run ends with the best weights that any of its steps has ended with."""
        # Neighbours take the head's place for good.
        solved = any(step.kind == "knn" for step in self.steps)
        return len(self.steps) > 1 and any(step.keep_best for step in self.steps) and not solved

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
    planned: list[PlannedStep] = []
    first_epoch = 0
    for step in steps:
        if isinstance(step, Solve):
            planned.append(_plan_solve(step, outline, first_epoch))
        elif isinstance(step, Combine):
            planned.append(_plan_combine(step, outline, planned))
        else:
            planned.append(_plan_train(step, outline, first_epoch, learning_rate))
            first_epoch += step.epochs
    return _with_schedules(planned)


def with_stopping(
    steps: Sequence[PlannedStep], *, patience: int | None, keep_best: bool
) -> tuple[PlannedStep, ...]:
    """Return steps that end early, or with their best weights, as the run wants it.

    What a strategy says of its own steps goes before.

    Args:
        steps: The steps.
        patience: After how many epochs without a gain one ends that trains; None for none.
        keep_best: Whether each ends with the weights of its best epoch.
    """
    return tuple(
        replace(
            step,
            patience=patience if step.patience is None else step.patience,
            keep_best=keep_best,
        )
        if step.kind == "train"
        else step
        for step in steps
    )


def with_trainable(step: PlannedStep, outline: Outline, trainable: Iterable[str]) -> PlannedStep:
    """Return a step that has picked which of its groups learn.

    Args:
        step: A step that trains.
        outline: The network.
        trainable: Names of groups that the step has rates for.
    """
    chosen = set(trainable)
    rates = {group: rate for group, rate in step.rates.items() if group in chosen}
    return replace(step, selector=None, rates=rates, **_learning(outline, rates))


def _with_schedules(steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """Return the steps with the epochs that their schedules span: to where one begins elsewhere."""
    starts = [step.first_epoch for step in steps if step.begin is not None]
    ends = [*starts, sum(step.epochs for step in steps)]
    spanned = []
    for step in steps:
        start = max((s for s in starts if s <= step.first_epoch), default=0)
        end = min((e for e in ends if e > step.first_epoch), default=ends[-1])
        spanned.append(replace(step, schedule=(start, end - start)))
    return tuple(spanned)


def _plan_train(
    step: Train, outline: Outline, first_epoch: int, learning_rate: float
) -> PlannedStep:
    selectors = [one for one in step.trainable if isinstance(one, TopStages)]
    names = [one for one in step.trainable if isinstance(one, str)]
    trainable = outline.expand([*names, *(name for one in selectors for name in one.among)])
    selector = None
    if selectors:
        (one,) = selectors
        selector = Selector(one.by, one.count, outline.expand(one.among))
    return PlannedStep(
        name=step.name,
        kind="train",
        first_epoch=first_epoch,
        epochs=step.epochs,
        rates={group: learning_rate * _factor(step.rates, group) for group in trainable},
        patience=None if step.until is None else step.until.patience,
        undo=step.on_no_gain == "undo",
        pull=step.pull,
        begin=step.begin,
        selector=selector,
        **_learning(outline, trainable),
    )


def _plan_solve(step: Solve, outline: Outline, first_epoch: int) -> PlannedStep:
    planned = PlannedStep(
        name=step.name,
        kind=step.method,
        first_epoch=first_epoch,
        epochs=0,
        rates={},
        grid=tuple(step.grid),
        **_learning(outline, outline.expand([outline.head])),
    )
    # Neighbours take the head's place, and have nothing to learn.
    return planned if step.method == "lbfgs" else replace(planned, trainable_parameters=0)


def _plan_combine(step: Combine, outline: Outline, before: Sequence[PlannedStep]) -> PlannedStep:
    changed = outline.expand({group for one in before for group in one.trainable})
    planned = PlannedStep(
        name=step.name,
        kind="combine",
        first_epoch=sum(one.epochs for one in before),
        epochs=0,
        rates={},
        snapshots=tuple(step.snapshots),
        weights=step.weights if isinstance(step.weights, str) else tuple(step.weights),
        **_learning(outline, changed),
    )
    # What is averaged changes, and learns nothing.
    return replace(planned, trainable_parameters=0)


def _learning(outline: Outline, trainable: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a step that say what learns and what is frozen."""
    learning = outline.expand(trainable)
    frozen = tuple(group for group in outline.groups if group not in set(learning))
    return {
        "trainable": learning,
        "frozen": frozen,
        "trainable_parameters": outline.count(learning),
        "frozen_parameters": outline.count(frozen),
        "frozen_stages": _frozen_stages(outline, set(learning)),
    }


def _factor(rates: Mapping[str, float], group: str) -> float:
    stage = group.rpartition(":")[0]
    return rates.get(group, rates.get(stage, 1.0))


def _frozen_stages(outline: Outline, trainable: set[str]) -> int:
    for index, stage in enumerate(outline.stages):
        if trainable.intersection(stage.groups):
            return index
    return len(outline.stages)
