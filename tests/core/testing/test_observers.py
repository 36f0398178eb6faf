"""Observers that break a promise, each caught and told what to change."""

import pytest
from torch import nn

from tlf.testing import ContractError
from tlf.testing.observers import (
    CHECKS,
    check_hears_a_run_to_its_end,
    check_hears_of_a_run_that_fails,
    check_run_is_the_same_without_it,
)
from tlf.testing.toys import ToyObserver

from .saboteurs import Saboteur


class Raising(ToyObserver):
    def epoch_finished(self, event):
        raise ConnectionError("no server")


class Selective(ToyObserver):
    """Takes it that every step has an epoch."""

    def step_finished(self, event):
        return 1 / event.step["epochs"]


class Absent(ToyObserver):
    def __init__(self, options, folder):
        raise OSError(f"{folder} is not there")


class Editor(ToyObserver):
    """Mends what the run has written."""

    def run_finished(self, event):
        path = self.file.with_name("predictions.jsonl")
        path.write_text(path.read_text().replace("red", "green"))


class Meddler(ToyObserver):
    """Reaches for the network by what torch offers for that."""

    def run_started(self, event):
        super().run_started(event)
        self.handle = nn.modules.module.register_module_forward_hook(self.dim)

    def dim(self, module, inputs, output):
        return output * 0.5 if isinstance(module, nn.Linear) else None

    def run_finished(self, event):
        self.handle.remove()


class Reporting(ToyObserver):
    def run_finished(self, event):
        self.file.write_text(str(event.report["metrics"]))


class Planning(ToyObserver):
    def run_started(self, event):
        super().run_started(event)
        self.first = event.plan["steps"][0]


SABOTEURS = (
    Saboteur(
        check_hears_a_run_to_its_end, Raising, "`epoch_finished` fails: ConnectionError: no s"
    ),
    Saboteur(check_hears_a_run_to_its_end, Selective, "`step_finished` fails: ZeroDivisionError"),
    Saboteur(
        check_hears_a_run_to_its_end, Absent, "creating an object .* must not fail: .*nowhere"
    ),
    Saboteur(check_hears_a_run_to_its_end, object, "must be a subclass of `tlf.plugin.Observer`"),
    Saboteur(check_run_is_the_same_without_it, Editor, r"run's `predictions.jsonl` is another one"),
    Saboteur(check_run_is_the_same_without_it, Meddler, r"run's `metrics.jsonl` is another one"),
    Saboteur(
        check_hears_of_a_run_that_fails, Reporting, "without a report, must not fail, .*TypeEr"
    ),
    Saboteur(
        check_hears_of_a_run_that_fails, Planning, "`run_started` must not fail, .*IndexError"
    ),
)


@pytest.mark.parametrize("check", CHECKS)
def test_an_observer_that_keeps_its_promises_passes(check, declare):
    check(declare("observer"), {})


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=str)
def test_an_observer_that_breaks_a_promise_is_told_what_to_change(saboteur, declare):
    entry = declare("observer", saboteur.target)
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry, {})
