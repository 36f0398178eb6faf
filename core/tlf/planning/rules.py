"""The rules that the steps of a plan keep, each broken one a sentence."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from tlf.plugin import Budget, Combine, Outline, Plateau, Solve, Step, TopStages, Train

_COMBINED = ("uniform", "greedy")


def check_steps(steps: Sequence[Step], outline: Outline, budget: Budget) -> Iterator[str]:
    """Yield a sentence for each rule that the steps break.

    Args:
        steps: What a strategy returned.
        outline: The network.
        budget: What the strategy was given.
    """
    if not steps:
        yield "the plan has no steps"
    spent, names, trains = 0, set[str](), False
    for number, step in enumerate(steps, start=1):
        where = f"step {number}"
        problems = list(_check_form(step, where))
        yield from problems
        trains = trains or isinstance(step, Train)
        if problems:
            continue
        if step.name in names:
            yield f"{where} is called `{step.name}`, as one before it is"
        if isinstance(step, Train):
            yield from _check_train(step, outline, where, names)
            spent += step.epochs
        elif isinstance(step, Solve):
            yield from _check_solve(step, where, last=number == len(steps))
        else:
            yield from _check_combine(step, where, names)
        names.add(step.name)
    if trains and spent != budget.epochs:
        yield f"the steps take {spent} epochs, the budget is {budget.epochs}"
    yield from _check_left_over(steps)


def _check_left_over(steps: Sequence[Step]) -> Iterator[str]:
    trains = [step for step in steps if isinstance(step, Train)]
    for step, after in pairwise(trains):
        if step.until is not None and after.begin is not None:
            yield (
                f"`{step.name}` may end early, and `{after.name}`, which begins elsewhere, cannot "
                "take the epochs that it leaves"
            )


def _check_form(step: object, where: str) -> Iterator[str]:
    """Yield a sentence for each value of a step that is of a wrong type."""
    if not isinstance(step, Train | Solve | Combine):
        yield f"{where} is a {type(step).__name__}, neither a Train nor a Solve nor a Combine"
        return
    if not isinstance(step.name, str) or not step.name:
        yield f"{where} is called `{step.name!r}`, which is no text"
    if isinstance(step, Train):
        yield from _check_train_form(step, where)
    elif isinstance(step, Solve):
        if step.method not in ("lbfgs", "knn"):
            yield f"{where} solves by `{step.method!r}`; there are `lbfgs` and `knn`"
        if not _is_list(step.grid):
            yield f"{where} has the grid `{step.grid!r}`, which is no tuple of numbers"
    else:
        if not _are_texts(step.snapshots):
            yield f"{where} combines `{step.snapshots!r}`, which is no tuple of names"
        if step.weights not in _COMBINED and not (_is_list(step.weights) and step.weights):
            yield (
                f"{where} combines by `{step.weights!r}`; there are `uniform`, `greedy` and a tuple "
                "of shares"
            )


def _check_train_form(step: Train, where: str) -> Iterator[str]:
    if not _is_list(step.trainable) or not all(
        isinstance(one, str | TopStages) for one in step.trainable
    ):
        yield f"{where} trains `{step.trainable!r}`, which is no tuple of names"
    elif sum(isinstance(one, TopStages) for one in step.trainable) > 1:
        yield f"{where} has more than one selector"
    if type(step.epochs) is not int:
        yield f"{where} takes `{step.epochs!r}` epochs, which is no whole number"
    if not isinstance(step.rates, Mapping) or not _are_texts(list(step.rates)):
        yield f"{where} has the rates `{step.rates!r}`, which are no numbers by name"
    if step.until is not None and not isinstance(step.until, Plateau):
        yield f"{where} lasts until `{step.until!r}`, which is no `Plateau`"
    elif step.until is not None and not _is_count(step.until.patience):
        yield (
            f"{where} has the patience `{step.until.patience!r}`; there must be a whole number, at "
            "least 1"
        )
    if step.on_no_gain not in ("keep", "undo"):
        yield f"{where} has `{step.on_no_gain!r}` on no gain; there are `keep` and `undo`"
    if not is_number(step.pull) or step.pull < 0:
        yield f"{where} has the pull `{step.pull!r}`; it must be finite and at least 0"
    if step.begin is not None and not isinstance(step.begin, str):
        yield f"{where} begins from `{step.begin!r}`, which is no name"


def _check_train(
    step: Train, outline: Outline, where: str, earlier: Collection[str]
) -> Iterator[str]:
    known = {stage.name for stage in outline.stages} | set(outline.groups)
    names = [name for one in step.trainable for name in _names_of(one)]
    if step.epochs < 1:
        yield f"{where} takes `{step.epochs}` epochs; at least 1 is needed"
    for name in [*names, *step.rates]:
        if name not in known:
            yield f"{where} names `{name}`, which is no stage or group of this network"
    for one in step.trainable:
        if isinstance(one, TopStages):
            yield from _check_selector(one, outline, where)
            yield from _check_overlap(step, one, outline, where)
    learning = set(outline.expand(name for name in names if name in known))
    if not learning:
        yield f"{where} trains nothing"
    rates = {name: outline.expand([name]) if name in known else () for name in step.rates}
    yield from _check_rates(step, where, rates, learning)
    if step.begin is not None and step.begin not in earlier:
        yield f"{where} begins from `{step.begin}`, which is no step before it"


def _check_rates(
    step: Train, where: str, named: Mapping[str, Sequence[str]], learning: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for each rate that is none, or governs nothing."""
    for name, rate in step.rates.items():
        if not _is_rate(rate):
            yield f"{where} gives `{name}` the rate `{rate}`; it must be finite and above 0"
        # A stage without parameters has no groups, and may have a rate like all others.
        if named[name] and not any(group in learning for group in named[name]):
            yield f"{where} gives a rate to `{name}`, which does not train in it"


def _check_selector(selector: TopStages, outline: Outline, where: str) -> Iterator[str]:
    if selector.by != "relative-gradient-norm":
        yield f"{where} selects by `{selector.by!r}`; there is `relative-gradient-norm`"
    if not _is_count(selector.count):
        yield (
            f"{where} selects `{selector.count!r}` stages; there must be a whole number, at least 1"
        )
    if outline.head in {name.partition(":")[0] for name in _names_of(selector)}:
        yield f"{where} selects among stages with the head, which is no stage of the backbone"


def _check_overlap(step: Train, selector: TopStages, outline: Outline, where: str) -> Iterator[str]:
    """Yield a sentence if a step names what its selector may pick, or not."""
    known = {stage.name for stage in outline.stages} | set(outline.groups)
    named = outline.expand(n for n in step.trainable if isinstance(n, str) and n in known)
    picked = outline.expand(name for name in _names_of(selector) if name in known)
    both = [group for group in named if group in picked]
    if both:
        yield f"{where} trains `{both[0]}` and lets its selector pick it"


def _check_solve(step: Solve, where: str, *, last: bool) -> Iterator[str]:
    for value in step.grid:
        if step.method == "lbfgs" and not _is_rate(value):
            yield f"{where} has the strength `{value}`; it must be finite and above 0"
        if step.method == "knn" and not _is_count(value):
            yield f"{where} has `{value}` neighbours; there must be a whole number, at least 1"
    if step.method == "knn" and not last:
        yield f"{where} solves by `knn`, after which nothing can be trained, and is not the last"


def _check_combine(step: Combine, where: str, earlier: Collection[str]) -> Iterator[str]:
    for name in step.snapshots:
        if name not in earlier:
            yield f"{where} combines `{name}`, which is no step before it"
    if len(set(step.snapshots)) < max(2, len(step.snapshots)):
        yield f"{where} combines `{step.snapshots!r}`; at least two different steps are needed"
    if isinstance(step.weights, str):
        return
    if len(step.snapshots) != 2:
        yield f"{where} has shares for two snapshots, and combines {len(step.snapshots)}"
    for share in step.weights:
        if not is_number(share) or not 0 <= share <= 1:
            yield f"{where} has the share `{share}`; it must lie between 0 and 1"


def _names_of(one: str | TopStages) -> tuple[str, ...]:
    if isinstance(one, str):
        return (one,)
    return tuple(one.among) if _are_texts(one.among) else (repr(one.among),)


def _is_list(values: object) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str | bytes)


def _are_texts(values: object) -> bool:
    return _is_list(values) and all(isinstance(value, str) for value in values)  # type: ignore[attr-defined]


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def is_number(value: object) -> bool:
    """Say whether a value is a finite number.

    Args:
        value: Anything.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_rate(rate: object) -> bool:
    return is_number(rate) and rate > 0  # type: ignore[operator]
