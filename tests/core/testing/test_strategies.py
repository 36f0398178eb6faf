"""Strategies that break a promise, each caught and told what to change."""

import itertools
import random

import pytest

from tlf.plugin import Solve, Train
from tlf.testing import ContractError
from tlf.testing.strategies import (
    CHECKS,
    check_head_learns,
    check_plan_can_be_carried_out,
    check_plan_is_deterministic,
)

from .toys import Saboteur, ToyStrategy


class Random(ToyStrategy):
    def steps(self, outline, budget):
        rates = {outline.head: 1 + random.random()}
        return [Train(name="a", trainable=(outline.head,), epochs=budget.epochs, rates=rates)]


class Remembering(ToyStrategy):
    """A new object plans the same; one that has planned before does not."""

    def __init__(self, options):
        super().__init__(options)
        self.count = itertools.count(1)

    def steps(self, outline, budget):
        name = f"plan {next(self.count)}"
        return [Train(name=name, trainable=(outline.head,), epochs=budget.epochs)]


class Meddling(ToyStrategy):
    def steps(self, outline, budget):
        outline.stages[0].parameters.clear()
        return super().steps(outline, budget)


class Lazy(ToyStrategy):
    """Yields its steps one by one."""

    def steps(self, outline, budget):
        yield from super().steps(outline, budget)


class Forgetful(ToyStrategy):
    """Forgets to return what it has planned."""

    def steps(self, outline, budget):
        super().steps(outline, budget)


class Saying(ToyStrategy):
    def steps(self, outline, budget):
        return [{"trainable": "head", "epochs": budget.epochs}]


class Letters(ToyStrategy):
    """Writes `("head")` for `("head",)`."""

    def steps(self, outline, budget):
        return [Train(name="a", trainable=("head"), epochs=budget.epochs)]


class Halving(ToyStrategy):
    def steps(self, outline, budget):
        return [Train(name="a", trainable=(outline.head,), epochs=budget.epochs / 2)]


class Wordy(ToyStrategy):
    def steps(self, outline, budget):
        rates = {"head": "slow"}
        return [Train(name="a", trainable=("head",), epochs=budget.epochs, rates=rates)]


class Nameless(ToyStrategy):
    def steps(self, outline, budget):
        return [Train(name="", trainable=("head",), epochs=budget.epochs)]


class Wasteful(ToyStrategy):
    """Takes two epochs at least, whatever it may spend."""

    def steps(self, outline, budget):
        return [Train(name="a", trainable=(outline.head,), epochs=max(2, budget.epochs))]


class Resnet(ToyStrategy):
    """Knows one network by heart."""

    def steps(self, outline, budget):
        return [Train(name="a", trainable=("layer4", "head"), epochs=budget.epochs)]


class Deep(ToyStrategy):
    """Takes for granted that there are two stages or more."""

    def steps(self, outline, budget):
        last = outline.body[1]
        return [Train(name="a", trainable=(last, outline.head), epochs=budget.epochs)]


class Still(ToyStrategy):
    def steps(self, outline, budget):
        rates = {outline.head: 0.0}
        return [Train(name="a", trainable=(outline.head,), epochs=budget.epochs, rates=rates)]


class Backwards(ToyStrategy):
    """The backbone goes first, and the head has what is left: nothing, of one epoch."""

    def steps(self, outline, budget):
        steps = [Train(name="body", trainable=outline.body, epochs=(budget.epochs + 1) // 2)]
        if budget.epochs > 1:
            rest = budget.epochs // 2
            steps.append(Train(name="head", trainable=(outline.head,), epochs=rest))
        return steps


class HalfHead(ToyStrategy):
    def steps(self, outline, budget):
        return [Train(name="bias", trainable=("head:bias",), epochs=budget.epochs)]


class Early(ToyStrategy):
    """Neighbours can be trained no further."""

    def steps(self, outline, budget):
        return [
            Solve(name="knn", method="knn"),
            Train(name="all", trainable=outline.body, epochs=budget.epochs),
        ]


class Unfinished(ToyStrategy):
    def steps(self, outline, budget):
        return {}[outline.head]


SABOTEURS = (
    Saboteur(check_plan_is_deterministic, Random, "different plans .* it must be pure"),
    Saboteur(check_plan_is_deterministic, Remembering, "different plans .* it must be pure"),
    Saboteur(check_plan_is_deterministic, Meddling, "changed the outline"),
    Saboteur(check_plan_is_deterministic, Lazy, "must return a list of steps, not <generator"),
    Saboteur(check_plan_can_be_carried_out, Forgetful, "must return a list of steps, not None"),
    Saboteur(check_plan_can_be_carried_out, Saying, "must be a `Train` or a `Solve`, not {'tra"),
    Saboteur(check_plan_can_be_carried_out, Letters, "must be a tuple of names, not 'head'"),
    Saboteur(check_plan_can_be_carried_out, Halving, "must be a whole number, not 0.5"),
    Saboteur(check_plan_can_be_carried_out, Wordy, "`rates` of step 1 must give a number"),
    Saboteur(check_plan_can_be_carried_out, Nameless, "`name` of step 1 must be a text"),
    Saboteur(check_plan_can_be_carried_out, Wasteful, "take 2 epochs, the budget is 1"),
    Saboteur(check_plan_can_be_carried_out, Resnet, "`layer4`, which is no stage or group"),
    Saboteur(
        check_plan_can_be_carried_out, Deep, "`steps` for 1 stages and 1 epochs .* IndexError"
    ),
    Saboteur(check_plan_can_be_carried_out, Still, "the rate `0.0`; it must be finite and above 0"),
    Saboteur(check_plan_can_be_carried_out, Early, "solves by `knn`, .* and is not the last"),
    Saboteur(check_head_learns, Backwards, "a budget of 1 epochs no step trains the head"),
    Saboteur(check_head_learns, HalfHead, "no step trains the head"),
    Saboteur(check_head_learns, Unfinished, "must not fail, and fails with KeyError: 'head'"),
    Saboteur(check_head_learns, object, "must be a subclass of `tlf.plugin.Strategy`"),
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_strategy_that_keeps_its_promises_passes(check, declare):
    check(declare("strategy"), {})


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=str)
def test_a_strategy_that_breaks_a_promise_is_told_what_to_change(saboteur, declare):
    entry = declare("strategy", saboteur.target)
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry, {})
