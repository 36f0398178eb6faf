"""Checks for strategies, on outlines of many shapes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tlf.planning import check_steps
from tlf.plugin import (
    HEAD,
    Budget,
    Choice,
    Combine,
    GroupKind,
    Outline,
    Solve,
    StageOutline,
    Strategy,
    TopStages,
    Train,
)
from tlf.registry import load_registry
from tlf.testing import adapters
from tlf.testing.promises import ContractError, are_numbers, create, is_list, must_work, require
from tlf.testing.toy_run import TOY_EPOCHS, ToyRun, toy_groups, tried

if TYPE_CHECKING:
    from tlf.plugin import Step
    from tlf.registry import Entry

__tracebackhide__ = True

#: Few epochs and images, and many.
_BUDGETS = (Budget(1, 2), Budget(2, 20), Budget(7, 400), Budget(100, 50_000))
_STAGES = (1, 2, 5, 60)


def toy_outline(stages: int, *, adapted: bool = False) -> Outline:
    """Return the outline of a network with so many stages, a stage without parameters among them.

    Args:
        stages: Stages of the backbone, at least 1.
        adapted: Whether a strategy has added something to each of the others.
    """
    parameters: dict[GroupKind, int] = {"weight": 100, "bias": 3, "norm": 6}
    if adapted:
        parameters["adapter"] = 10
    body = [
        StageOutline(
            name=f"blocks.{index}",
            # A stage that only reshapes has no parameters: strategies must not trip over it.
            parameters={} if index == 1 and stages > 2 else dict(parameters),
            flops=1000,
            output_shape=(8, 4, 4),
        )
        for index in range(stages)
    ]
    head = StageOutline(HEAD, {"weight": 20, "bias": 2}, 40, (2,))
    return Outline((*body, head), image_size=32)


def _outline_for(strategy: Strategy[Any], stages: int) -> Outline:
    """Return the outline of a toy network that a strategy has added to, if it does so."""
    adds = type(strategy).prepare is not Strategy.prepare
    return toy_outline(stages, adapted=adds)


def _answer(strategy: Strategy[Any], outline: Outline, budget: Budget) -> tuple[Step, ...] | Choice:
    """Return what a strategy answers, whose values are of the right types."""
    epochs = f"{budget.epochs} epoch{'' if budget.epochs == 1 else 's'}"
    with must_work(f"`steps` for {len(outline.body)} stages and {epochs}"):
        steps = strategy.steps(outline, budget)
    if isinstance(steps, Choice):
        _check_choice(steps)
        return steps
    require(is_list(steps), f"`steps` must return a list of steps, not {steps!r}")
    for number, step in enumerate(steps, start=1):
        require(
            isinstance(step, Train | Solve | Combine),
            f"step {number} must be a `Train`, a `Solve` or a `Combine`, not {step!r}",
        )
        _check_form(step, f"of step {number}")
    return tuple(steps)


def _plan(strategy: Strategy[Any], outline: Outline, budget: Budget) -> tuple[Step, ...]:
    """Return the plan that a strategy makes, or that the one makes which it picks."""
    answer = _answer(strategy, outline, budget)
    if not isinstance(answer, Choice):
        return answer
    picked = load_registry().find("strategy", answer.strategy)
    if picked is None:
        raise ContractError(f"it picks `{answer.strategy}`, which no installed plugin provides")
    with must_work(f"the options with which it picks `{answer.strategy}`"):
        picked.options(dict(answer.options))
    steps = _answer(create(picked, answer.options), outline, budget)
    if isinstance(steps, Choice):
        raise ContractError(f"it picks `{answer.strategy}`, which picks in its turn")
    return steps


def _check_choice(choice: Choice) -> None:
    require(
        isinstance(choice.strategy, str) and choice.strategy,
        f"a `Choice` must name a strategy, not {choice.strategy!r}",
    )
    require(
        isinstance(choice.options, Mapping),
        f"the options of a `Choice` must be a mapping, not {choice.options!r}",
    )
    require(
        isinstance(choice.why, str) and choice.why.strip(),
        f"a `Choice` must say why it picks `{choice.strategy}`",
    )


def _check_form(step: Step, where: str) -> None:
    require(isinstance(step.name, str) and step.name, f"`name` {where} must be a text")
    if not isinstance(step, Train):
        # Its other values are looked at with the rules for plans.
        return
    names, rates = step.trainable, step.rates
    require(
        is_list(names) and all(isinstance(name, str | TopStages) for name in names),
        f"`trainable` {where} must be a tuple of names, not {names!r}",
    )
    require(
        isinstance(step.epochs, int) and not isinstance(step.epochs, bool),
        f"`epochs` {where} must be a whole number, not {step.epochs!r}",
    )
    require(
        isinstance(rates, Mapping) and are_numbers(list(rates.values())),
        f"`rates` {where} must give a number to each name, not {rates!r}",
    )


def check_plan_is_deterministic(entry: Entry, example: Mapping[str, Any]) -> None:
    """The same arguments give the same plan, from a new object and from one that planned before."""
    outline = _outline_for(create(entry, example), 5)
    untouched = _outline_for(create(entry, example), 5)
    plans = []
    for _ in range(3):
        strategy = create(entry, example)
        plans += [_answer(strategy, outline, Budget(7, 400)) for _ in range(2)]
    require(
        all(plan == plans[0] for plan in plans),
        "`steps` returned different plans for the same outline and budget: it must be pure",
    )
    require(outline == untouched, "`steps` changed the outline that it was given")


def check_plan_can_be_carried_out(entry: Entry, example: Mapping[str, Any]) -> None:
    """On any network and budget the plan spends the budget, on groups that exist, at sane rates."""
    strategy = create(entry, example)
    for stages in _STAGES:
        for budget in _BUDGETS:
            outline = _outline_for(strategy, stages)
            steps = _plan(strategy, outline, budget)
            problems = list(check_steps(steps, outline, budget))
            require(
                not problems,
                f"for {stages} stages and a budget of {budget.epochs} epochs: "
                f"{'; '.join(problems)}",
            )


def check_head_learns(entry: Entry, example: Mapping[str, Any]) -> None:
    """The head is new, so some step must train it, however small the budget."""
    strategy = create(entry, example)
    for stages in _STAGES:
        for budget in _BUDGETS:
            outline = _outline_for(strategy, stages)
            steps = _plan(strategy, outline, budget)
            trains = [step for step in steps if isinstance(step, Train)]
            named = {n for step in trains for n in step.trainable if isinstance(n, str)}
            head = outline.stages[-1]
            require(
                any(isinstance(step, Solve) for step in steps)
                or head.name in named
                or set(head.groups) <= named,
                f"for {stages} stages and a budget of {budget.epochs} epochs no step trains the head, "
                "which starts from random weights",
            )


def check_training_beats_guessing(entry: Entry, example: Mapping[str, Any]) -> None:
    """Its plan runs on a toy network, and brings the loss below that of guessing."""
    run = _toy_run(entry, example)
    loss, guessing = run.report["metrics"]["loss"], math.log(2)
    require(
        # A little below: a head that has learned nothing is not quite indifferent.
        loss < 0.95 * guessing,
        f"after its plan of {TOY_EPOCHS} epochs the toy network's loss is {loss:.3f}; guessing one of "
        f"two classes gives {guessing:.3f}: are the rates high enough, and does the head learn?",
    )


def check_what_never_learns_stays(entry: Entry, example: Mapping[str, Any]) -> None:
    """After its plan every tensor of a group that no step trains is, byte for byte, as it was.

    But for those of modules that the strategy has added to, and into which that was merged.
    """
    run = _toy_run(entry, example)
    if not create(entry, example).pretrained:
        return
    learning = {
        g for step in json.loads(run.files["plan.json"])["steps"] for g in step["trainable"]
    }
    added_to = run.report.get("adapters", {}).get("modules", ())
    moved = [
        name
        for group, names in toy_groups().items()
        if group not in learning
        for name in names
        if not any(name.startswith(f"{path}.") for path in added_to)
        and run.start[name].numpy().tobytes() != run.end[f"backbone.{name}"].numpy().tobytes()
    ]
    require(
        not moved,
        f"no step of its plan trains {moved[:5]}, which are not as they were before the run: a "
        "strategy must leave the network to the engine",
    )


def _toy_run(entry: Entry, example: Mapping[str, Any]) -> ToyRun:
    """Return what a run of the strategy on the toy network came to."""
    create(entry, example)
    with must_work(f"running its plan with the options {dict(example)} on a toy network"):
        return tried(entry, example)


CHECKS = (
    check_plan_is_deterministic,
    check_plan_can_be_carried_out,
    check_head_learns,
    check_training_beats_guessing,
    check_what_never_learns_stays,
    *adapters.CHECKS,
)
