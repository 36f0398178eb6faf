"""Observers hear everything that a run comes to, and can neither change nor end it."""

import json
import random
import sys

import numpy as np
import pytest
import torch

import tlf
from tlf.engine.directory import RunDirectory
from tlf.engine.observing import Observers
from tlf.errors import PluginError, RunError, SpecError
from tlf.plugin import EpochFinished, RunFinished
from tlf.registry import load_registry

#: What a run leaves behind that an observer must not change. Times are in the other files.
RESULTS = ("metrics.jsonl", "predictions.jsonl", "model.safetensors", "plan.json")

HEARING = """
from tlf.plugin import Observer, Options

HEARD = []


class Hearing(Observer[Options]):
    def run_started(self, event):
        HEARD.append(("run_started", event))

    def step_started(self, event):
        HEARD.append(("step_started", event))

    def epoch_finished(self, event):
        HEARD.append(("epoch_finished", event))

    def step_finished(self, event):
        HEARD.append(("step_finished", event))

    def run_finished(self, event):
        HEARD.append(("run_finished", event))


class Vandal(Hearing):
    def epoch_finished(self, event):
        import random, numpy, torch
        random.seed(1)
        numpy.random.seed(1)
        torch.manual_seed(1)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        event.validation.clear()
        event.train.clear()
        print("in the middle of the results")


class Quitter(Hearing):
    def epoch_finished(self, event):
        super().epoch_finished(event)
        raise SystemExit("I quit")


class Late(Hearing):
    def __init__(self, options, folder):
        raise RuntimeError("no server")


@hookimpl
def tlf_observers():
    return [
        Declaration(name=f"acme/{name}", summary=name, target=f"MODULE:{name.title()}")
        for name in ("hearing", "vandal", "quitter", "late")
    ]
"""


@pytest.fixture
def heard(distribute):
    """Install a plugin with observers; what they hear of a run ends in this list."""
    module = distribute("acme", HEARING)
    load_registry.cache_clear()
    load_registry()
    yield sys.modules[module].HEARD
    load_registry.cache_clear()


def names(heard):
    return [name for name, _ in heard]


def test_an_observer_hears_all_that_happens_in_order(heard, small_spec):
    run = tlf.run({**small_spec, "observers": ["acme/hearing"], "strategy": "lp-ft"})
    assert names(heard) == [
        "run_started",
        "step_started",
        "step_finished",
        "step_started",
        "epoch_finished",
        "epoch_finished",
        "step_finished",
        "run_finished",
    ]
    events = [event for _, event in heard]
    started, finished = events[0], events[-1]
    assert started.directory == run.directory
    assert started.plan == json.loads((run.directory / "plan.json").read_text())
    assert started.environment == json.loads((run.directory / "environment.json").read_text())
    assert started.spec["training"]["epochs"] == 2
    assert started.spec["seed"] == 0
    assert [event.index for name, event in heard if name == "step_started"] == [0, 1]
    lines = (run.directory / "metrics.jsonl").read_text().splitlines()
    epochs = [event for name, event in heard if name == "epoch_finished"]
    written = [json.loads(line) for line in lines if "train" in json.loads(line)]
    assert [(e.epoch, e.step, e.train, e.validation) for e in epochs] == [
        (line["epoch"], line["step"], line["train"], line["validation"]) for line in written
    ]
    assert all(event.timings["images_per_second"] > 0 for event in epochs)
    steps = [event.step for name, event in heard if name == "step_finished"]
    assert steps == run.report["steps"]
    assert finished == RunFinished(dict(run.report), None)


def test_what_an_observer_does_to_its_values_and_to_torch_changes_nothing(
    heard, small_spec, same_costs, capsys
):
    alone = tlf.run({**small_spec, "name": "alone", "strategy": "full-fine-tuning"})
    spec = {**small_spec, "strategy": "full-fine-tuning", "observers": ["acme/vandal"]}
    watched = tlf.run({**spec, "name": "alone"})
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    for name in RESULTS:
        assert (watched.directory / name).read_bytes() == (alone.directory / name).read_bytes()
    assert "in the middle" not in capsys.readouterr().out


def test_the_generators_of_python_and_numpy_are_put_back(heard):
    class Made:
        part = None

    class Drawing:
        def epoch_finished(self, event):
            random.random()
            np.random.random()
            torch.rand(1)

    Made.part = Drawing()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    observers = Observers([Made()], torch.device("cpu"), pytest.fail)
    observers.tell(EpochFinished(1, "all", {}, {}, None, {}))
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after


def test_one_that_raises_is_said_once_and_dropped_and_the_others_go_on(heard, small_spec):
    warnings = []

    class Listening(tlf.Listener):
        def warning(self, message):
            warnings.append(message)

    observers = ["acme/quitter", "acme/hearing"]
    run = tlf.run({**small_spec, "observers": observers}, listener=Listening())
    (warning,) = warnings
    assert warning == (
        "the observer `acme/quitter` (tlf-acme 1.0) is dropped: `epoch_finished` fails: "
        "it calls `sys.exit('I quit')`"
    )
    assert warning in (run.directory / "log.txt").read_text()
    # Both hear the start, the step and the first epoch; one hears the rest.
    assert names(heard).count("run_started") == 2
    assert names(heard).count("epoch_finished") == 3
    assert names(heard).count("run_finished") == 1


def test_an_observer_that_cannot_be_made_ends_the_run_before_it_begins(heard, small_spec, tmp_path):
    with pytest.raises(PluginError, match="creating it fails with RuntimeError: no server"):
        tlf.run({**small_spec, "observers": ["acme/late"]})
    assert not list(tmp_path.glob("runs/*"))


def test_of_a_run_that_fails_an_observer_hears_why(heard, small_spec):
    training = {**small_spec["training"], "learning_rate": 100.0, "clip_norm": None}
    spec = {**small_spec, "training": training, "observers": ["acme/hearing"]}
    with pytest.raises(RunError, match="the loss became"):
        tlf.run({**spec, "strategy": "full-fine-tuning"})
    name, event = heard[-1]
    assert name == "run_finished"
    assert event.report is None
    assert event.error.startswith("the loss became")


def test_of_a_run_that_is_stopped_an_observer_hears_that(heard, small_spec):
    class Stopping(tlf.Listener):
        def epoch_finished(self, record):
            raise KeyboardInterrupt

    with pytest.raises(tlf.TlfError, match="stopped after 1 of 2"):
        tlf.run({**small_spec, "observers": ["acme/hearing"]}, listener=Stopping())
    assert heard[-1] == ("run_finished", RunFinished(None, "stopped after 1 of 2 epochs"))


def test_an_observer_hears_nothing_of_a_run_that_never_started(heard, small_spec, monkeypatch):
    def fail(self, **_):
        raise RunError("no room")

    monkeypatch.setattr(RunDirectory, "publish", fail)
    with pytest.raises(RunError):
        tlf.run({**small_spec, "observers": ["acme/hearing"]})
    assert heard == []


def test_what_took_part_in_a_run_names_its_observers(heard, small_spec):
    run = tlf.run({**small_spec, "observers": ["acme/hearing"]})
    plugins = json.loads((run.directory / "environment.json").read_text())["plugins"]
    (part,) = [part for part in plugins if part["kind"] == "observer"]
    assert (part["name"], part["distribution"]) == ("acme/hearing", "tlf-acme")
    assert part["code_digest"]


def test_mistakes_in_observers_are_told_with_their_places(small_spec):
    observers = ["csv", "cvs", {"name": "csv", "options": {"fiel": "x.csv"}}, {"nmae": "csv"}]
    with pytest.raises(SpecError) as error:
        tlf.plan({**small_spec, "observers": observers})
    problems = error.value.problems
    assert [problem.path.split(".")[1] for problem in problems] == ["1", "2", "3", "3"]
    told = {problem.path: (problem.message, problem.hint) for problem in problems}
    assert told == {
        "observers.1": ("`cvs` is no known observer", "did you mean `csv`?"),
        "observers.2.options.fiel": ("`fiel` is no known key", "did you mean `file`?"),
        "observers.3.name": ("is missing", "`name` says: what the plugin calls it"),
        "observers.3.nmae": ("`nmae` is no known key", "did you mean `name`?"),
    }


def test_an_option_beside_the_options_of_an_observer_is_shown_its_place(small_spec):
    with pytest.raises(SpecError) as error:
        tlf.plan({**small_spec, "observers": [{"name": "csv", "file": "x.csv"}]})
    (problem,) = error.value.problems
    assert problem.path == "observers.0.file"
    assert problem.hint == "did you mean `observers.0.options.file`?"


def test_an_observer_of_a_plugin_that_is_not_there_is_a_plugins_problem(small_spec):
    with pytest.raises(PluginError, match=r"observers\.0: `wandb/log` is of the plugin `wandb`"):
        tlf.plan({**small_spec, "observers": ["wandb/log"]})
