"""Strategies that break a promise, each caught and told what to change."""

import dataclasses
import itertools
import random

import pytest
import torch

from tlf.engine import running
from tlf.plugin import Choice, Combine, Plateau, Solve, TopStages, Train
from tlf.testing import ContractError
from tlf.testing.strategies import (
    CHECKS,
    check_head_learns,
    check_plan_can_be_carried_out,
    check_plan_is_deterministic,
    check_training_beats_guessing,
    check_what_never_learns_stays,
)
from tlf.testing.toys import ToyStrategy
from tlf_builtin.feature_extraction.strategy import FeatureExtraction

from .saboteurs import Saboteur


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


class Repelled(ToyStrategy):
    def steps(self, outline, budget):
        return [Train(name="a", trainable=("head",), epochs=budget.epochs, pull=-0.1)]


class Picky(ToyStrategy):
    """Picks a share of the stages, and none of few."""

    def steps(self, outline, budget):
        picked = TopStages(count=len(outline.body) // 3, among=outline.body)
        return [Train(name="a", trainable=(picked, "head"), epochs=budget.epochs)]


class Mixing(ToyStrategy):
    """Averages a step that it takes only where there are epochs enough."""

    def steps(self, outline, budget):
        return [
            *super().steps(outline, budget),
            Combine(name="mix", snapshots=("head", "all"), weights=(0.5,)),
        ]


class Saving(ToyStrategy):
    """Leaves epochs to a step that begins elsewhere, and has its schedule to itself."""

    def steps(self, outline, budget):
        first, *rest = super().steps(outline, budget)
        first = dataclasses.replace(first, until=Plateau())
        return [Solve(name="probe"), first, *(dataclasses.replace(s, begin="probe") for s in rest)]


class Choosing(ToyStrategy):
    """Chooses what the class says."""

    choice = Choice(strategy="feature-extraction", why="it is the cheapest")

    def steps(self, outline, budget):
        return self.choice


class Silent(Choosing):
    choice = Choice(strategy="feature-extraction", why=" ")


class Anonymous(Choosing):
    choice = Choice(strategy="", why="it is the cheapest")


class Optional(Choosing):
    choice = Choice(strategy="feature-extraction", options=["fast"], why="it is the cheapest")


class Absent(Choosing):
    choice = Choice(strategy="acme/best", why="it is the best")


class Unwelcome(Choosing):
    choice = Choice(strategy="feature-extraction", options={"depth": 3}, why="it is the cheapest")


class Dicing(ToyStrategy):
    """Which strategy it picks depends on when it is asked."""

    def steps(self, outline, budget):
        name = f"pick {random.random()}"
        return Choice(strategy="feature-extraction", why=name)


class Timid(ToyStrategy):
    """Rates that are allowed, and at which nothing is learned."""

    def steps(self, outline, budget):
        names = (*outline.body, outline.head)
        rates = dict.fromkeys(names, 1e-9)
        return [Train(name="all", trainable=names, epochs=budget.epochs, rates=rates)]


class Grasping(ToyStrategy):
    """Trains the head, and reaches for the network behind the engine's back."""

    def steps(self, outline, budget):
        write = running.write_artifact

        def spoil(folder, model, *more):
            with torch.no_grad():
                next(model.backbone.module.parameters()).add_(1)
            write(folder, model, *more)

        running.write_artifact = spoil
        return [Train(name="head", trainable=(outline.head,), epochs=budget.epochs)]


class Untaught(ToyStrategy):
    """Starts from random weights, and never trains them."""

    pretrained = False

    def steps(self, outline, budget):
        return [Train(name="head", trainable=(outline.head,), epochs=budget.epochs)]


SABOTEURS = (
    Saboteur(
        check_training_beats_guessing, Timid, r"loss is 0\.6\d\d; guessing .* are the rates high"
    ),
    Saboteur(
        check_training_beats_guessing,
        Resnet,
        "running its plan .* on a toy network must not fail: .*layer4",
    ),
    Saboteur(
        check_what_never_learns_stays,
        Grasping,
        r"no step of its plan trains \['blocks.0.0.weight'\], which are not as they were",
    ),
    Saboteur(check_plan_is_deterministic, Random, "different plans .* it must be pure"),
    Saboteur(check_plan_is_deterministic, Remembering, "different plans .* it must be pure"),
    Saboteur(check_plan_is_deterministic, Meddling, "changed the outline"),
    Saboteur(check_plan_is_deterministic, Lazy, "must return a list of steps, not <generator"),
    Saboteur(check_plan_can_be_carried_out, Forgetful, "must return a list of steps, not None"),
    Saboteur(check_plan_can_be_carried_out, Saying, "`Train`, a `Solve` or a `Combine`, not {'tra"),
    Saboteur(check_plan_can_be_carried_out, Letters, "must be a tuple of names, not 'head'"),
    Saboteur(check_plan_can_be_carried_out, Halving, "must be a whole number, not 0.5"),
    Saboteur(check_plan_can_be_carried_out, Wordy, "`rates` of step 1 must give a number"),
    Saboteur(check_plan_can_be_carried_out, Nameless, "`name` of step 1 must be a text"),
    Saboteur(check_plan_can_be_carried_out, Wasteful, "take 2 epochs, the budget is 1"),
    Saboteur(check_plan_can_be_carried_out, Resnet, "`layer4`, which is no stage or group"),
    Saboteur(check_plan_can_be_carried_out, Deep, "`steps` for 1 stages and 1 epoch .* IndexError"),
    Saboteur(check_plan_can_be_carried_out, Still, "the rate `0.0`; it must be finite and above 0"),
    Saboteur(check_plan_can_be_carried_out, Early, "solves by `knn`, .* and is not the last"),
    Saboteur(check_plan_can_be_carried_out, Repelled, "the pull `-0.1`; it must be .* at least 0"),
    Saboteur(check_plan_can_be_carried_out, Picky, "for 1 stages .* selects `0` stages"),
    Saboteur(
        check_plan_can_be_carried_out, Mixing, "1 epochs: step 2 combines `all`, which is no step"
    ),
    Saboteur(
        check_plan_can_be_carried_out, Saving, "`head` may end early, and `all`, which begins"
    ),
    Saboteur(check_plan_can_be_carried_out, Silent, "must say why it picks `feature-extraction`"),
    Saboteur(check_plan_can_be_carried_out, Anonymous, "a `Choice` must name a strategy, not ''"),
    Saboteur(check_plan_can_be_carried_out, Optional, r"must be a mapping, not \['fast'\]"),
    Saboteur(check_plan_can_be_carried_out, Absent, "`acme/best`, which no installed plugin"),
    Saboteur(
        check_plan_can_be_carried_out,
        Unwelcome,
        "the options with which it picks `feature-extraction` must not fail: .*`depth`",
    ),
    Saboteur(check_plan_is_deterministic, Dicing, "different plans .* it must be pure"),
    Saboteur(check_head_learns, Backwards, "a budget of 1 epochs no step trains the head"),
    Saboteur(check_head_learns, HalfHead, "no step trains the head"),
    Saboteur(check_head_learns, Unfinished, "must not fail, and fails with KeyError: 'head'"),
    Saboteur(check_head_learns, object, "must be a subclass of `tlf.plugin.Strategy`"),
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_strategy_that_keeps_its_promises_passes(check, declare):
    check(declare("strategy"), {})


@pytest.mark.parametrize("check", CHECKS)
def test_a_strategy_that_picks_another_and_says_why_passes(check, declare):
    check(declare("strategy", Choosing), {})


class Thorough(ToyStrategy):
    """Takes everything that there is, in order."""

    def steps(self, outline, budget):
        picked = TopStages(count=2, among=outline.body)
        first, *rest = super().steps(outline, budget)
        first = dataclasses.replace(first, trainable=(picked, "head"), on_no_gain="undo", pull=0.1)
        steps = [
            Solve(name="probe"),
            first,
            *(dataclasses.replace(s, until=Plateau()) for s in rest),
        ]
        names = tuple(step.name for step in steps)
        return [*steps, Combine(name="soup", snapshots=names, weights="greedy")]


@pytest.mark.parametrize("check", CHECKS)
def test_a_strategy_that_takes_everything_there_is_passes(check, declare):
    check(declare("strategy", Thorough), {})


def test_what_starts_from_random_weights_need_not_end_as_the_file_has_it(declare):
    check_what_never_learns_stays(declare("strategy", Untaught), {})


def test_a_strategy_that_picks_one_that_picks_in_its_turn_is_told_so(declare, monkeypatch):
    monkeypatch.setattr(FeatureExtraction, "steps", Choosing.steps)
    monkeypatch.setattr(FeatureExtraction, "choice", Choosing.choice, raising=False)
    with pytest.raises(ContractError, match="picks `feature-extraction`, which picks in its turn"):
        check_plan_can_be_carried_out(declare("strategy", Choosing), {})


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=str)
def test_a_strategy_that_breaks_a_promise_is_told_what_to_change(saboteur, declare, monkeypatch):
    # What one of them changes is put back.
    monkeypatch.setattr(running, "write_artifact", running.write_artifact)
    entry = declare("strategy", saboteur.target)
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry, {})
