"""Steps that end early, and runs that end with their best weights: chosen on images held out."""

from __future__ import annotations

import copy
import json

import pytest

import tlf
from tlf.engine.choosing import Score


@pytest.fixture
def scores(monkeypatch):
    """Give each look at the images to choose on a score, in order; the last one for all that follow."""

    def scores(*accuracies):
        left = list(accuracies)

        def of(cls, evaluation):
            return Score(left.pop(0) if len(left) > 1 else left[0], 0.0)

        monkeypatch.setattr(Score, "of", classmethod(of))

    return scores


@pytest.fixture
def run(small_spec):
    def run(strategy="full-fine-tuning", **training):
        training = {"epochs": 6, "batch_size": 8, "learning_rate": 1e-3, **training}
        spec = {**copy.deepcopy(small_spec), "strategy": strategy, "training": training}
        return tlf.run(spec)

    return run


def epochs_of(finished):
    lines = (finished.directory / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def test_a_step_ends_after_as_many_epochs_without_a_gain_as_it_has_patience(run, scores):
    # Before the step, then after each epoch.
    scores(0.1, 0.5, 0.6, 0.6, 0.3)
    finished = run(patience=2)
    assert epochs_of(finished) == [1, 2, 3, 4]
    assert finished.report["steps"][0]["epochs"] == 4
    assert finished.report["steps"][0]["selection"]["best_epoch"] == 2
    assert finished.report["weights_from"] == "best epoch of each step"
    assert finished.report["selection_on"] == "selection"


def test_the_weights_are_those_of_the_best_epoch(run, scores):
    scores(0.1, 0.5, 0.6, 0.3)
    stopped = run(patience=1)
    scores(0.1, 0.5, 0.6)
    # The schedule spans all epochs, so the second one is the same in both.
    again = run(keep="best", patience=4)
    for finished in (stopped, again):
        assert finished.report["steps"][0]["selection"]["best_epoch"] == 2
    one, other = (run.directory / "model.safetensors" for run in (stopped, again))
    assert one.read_bytes() == other.read_bytes()


def test_without_patience_all_epochs_are_trained_and_the_best_weights_kept(run, scores):
    scores(0.1, 0.5, 0.9, 0.6)
    finished = run(keep="best")
    assert epochs_of(finished) == [1, 2, 3, 4, 5, 6]
    assert finished.report["steps"][0]["selection"]["best_epoch"] == 2


def test_the_run_ends_with_the_best_of_all_steps(run, scores, monkeypatch):
    strategy = {"name": "lp-ft", "options": {}}
    plan = tlf.plan(
        {**json.loads((run(strategy).directory / "spec.json").read_text()), "name": "planned"}
    )
    names = [step.name for step in plan.steps]
    # The first step is better than anything that comes later.
    scores(0.9, 0.9, 0.9, 0.2)
    finished = run(strategy, keep="best")
    assert finished.report["weights_from"] == "best of all steps"
    assert finished.report["kept"]["step"] == names[0]
    log = (finished.directory / "log.txt").read_text()
    assert f"ends with the weights of step {names[0]}" in log


def test_the_last_step_is_kept_where_it_is_the_best(run, scores):
    scores(*(number / 100 for number in range(100)))
    finished = run("gradual-unfreezing", keep="best")
    last = finished.report["steps"][-1]["name"]
    assert finished.report["kept"]["step"] == last
    assert "ends with the weights of step" not in (finished.directory / "log.txt").read_text()


def test_the_reported_numbers_are_of_the_weights_that_are_kept(run):
    finished = run("gradual-unfreezing", keep="best", patience=1)
    predictor = tlf.load(finished.directory)
    lines = (finished.directory / "predictions.jsonl").read_text().splitlines()
    spec = json.loads((finished.directory / "spec.json").read_text())
    folder = spec["data"]["options"]["validation"]
    for line in map(json.loads, lines[:4]):
        path = f"{folder}/{line['id'].partition('/')[2]}"
        (prediction,) = predictor.predict([path])
        assert prediction.label == line["predicted"]


def test_by_default_nothing_is_held_out_and_the_last_weights_are_reported(run):
    finished = run()
    assert finished.report["weights_from"] == "last epoch"
    assert finished.report["selection_on"] is None
    assert finished.report["kept"] is None
