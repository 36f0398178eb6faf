"""Trying the largest step before anything is spent on it."""

import pytest

from tlf.engine.network import build_network
from tlf.engine.probe import largest_step, probe_step
from tlf.errors import SpecError


def test_a_batch_of_one_image_that_a_norm_cannot_take_is_a_problem_with_a_way_out(make_job):
    job = make_job(strategy="from-scratch", training={"epochs": 1, "batch_size": 1})
    with pytest.raises(SpecError) as caught:
        probe_step(job, build_network(job), largest_step(job))
    (problem,) = caught.value.problems
    assert problem.path == "training.batch_size"
    assert "on `1` image of 32 pixels at a time: Expected more than 1 value" in problem.message
    assert "at least 2 images a batch" in problem.hint


def test_any_other_failure_of_the_network_is_not_said_to_be_the_batch(job, model, monkeypatch):
    def fail(*_):
        raise ValueError("something else")

    monkeypatch.setattr("tlf.engine.probe.training_loss", fail)
    with pytest.raises(ValueError, match="something else"):
        probe_step(job, model, largest_step(job))
