"""Checks for strategies, on outlines of many shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tlf.planning import check_steps
from tlf.plugin import HEAD, Budget, Outline, Solve, StageOutline, Strategy, Train
from tlf.testing.promises import are_numbers, create, is_list, must_work, require

if TYPE_CHECKING:
    from tlf.plugin import Step
    from tlf.registry import Entry

_BUDGETS = (1, 2, 7, 100)
_STAGES = (1, 2, 5, 60)


def toy_outline(stages: int) -> Outline:
    """Return the outline of a network with so many stages, a stage without parameters among them.

    Args:
        stages: Stages of the backbone, at least 1.
    """
    body = [
        StageOutline(
            name=f"blocks.{index}",
            # A stage that only reshapes has no parameters: strategies must not trip over it.
            parameters={} if index == 1 and stages > 2 else {"weight": 100, "bias": 3, "norm": 6},
            flops=1000,
            output_shape=(8, 4, 4),
        )
        for index in range(stages)
    ]
    head = StageOutline(HEAD, {"weight": 20, "bias": 2}, 40, (2,))
    return Outline((*body, head), image_size=32)


def _plan(strategy: Strategy[Any], outline: Outline, epochs: int) -> tuple[Step, ...]:
    """Return a strategy's plan, whose values are of the right types."""
    with must_work(f"`steps` for {len(outline.body)} stages and {epochs} epochs"):
        steps = strategy.steps(outline, Budget(epochs=epochs))
    require(is_list(steps), f"`steps` must return a list of steps, not {steps!r}")
    for number, step in enumerate(steps, start=1):
        require(
            isinstance(step, Train | Solve),
            f"step {number} must be a `Train` or a `Solve`, not {step!r}",
        )
        _check_form(step, f"of step {number}")
    return tuple(steps)


def _check_form(step: Step, where: str) -> None:
    require(isinstance(step.name, str) and step.name, f"`name` {where} must be a text")
    if isinstance(step, Solve):
        # Its other values are looked at with the rules for plans.
        return
    names, rates = step.trainable, step.rates
    require(
        is_list(names) and all(isinstance(name, str) for name in names),
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
    outline = toy_outline(5)
    plans = []
    for _ in range(3):
        strategy = create(entry, example)
        plans += [_plan(strategy, outline, 7) for _ in range(2)]
    require(
        all(plan == plans[0] for plan in plans),
        "`steps` returned different plans for the same outline and budget: it must be pure",
    )
    require(outline == toy_outline(5), "`steps` changed the outline that it was given")


def check_plan_can_be_carried_out(entry: Entry, example: Mapping[str, Any]) -> None:
    """On any network and budget the plan spends the budget, on groups that exist, at sane rates."""
    strategy = create(entry, example)
    for stages in _STAGES:
        for epochs in _BUDGETS:
            outline = toy_outline(stages)
            steps = _plan(strategy, outline, epochs)
            problems = list(check_steps(steps, outline, Budget(epochs=epochs)))
            require(
                not problems,
                f"for {stages} stages and a budget of {epochs} epochs: {'; '.join(problems)}",
            )


def check_head_learns(entry: Entry, example: Mapping[str, Any]) -> None:
    """The head is new, so some step must train it, however small the budget."""
    strategy = create(entry, example)
    for stages in _STAGES:
        for epochs in _BUDGETS:
            outline = toy_outline(stages)
            steps = _plan(strategy, outline, epochs)
            named = {name for step in steps if isinstance(step, Train) for name in step.trainable}
            head = outline.stages[-1]
            require(
                any(isinstance(step, Solve) for step in steps)
                or head.name in named
                or set(head.groups) <= named,
                f"for {stages} stages and a budget of {epochs} epochs no step trains the head, "
                "which starts from random weights",
            )


CHECKS = (check_plan_is_deterministic, check_plan_can_be_carried_out, check_head_learns)
