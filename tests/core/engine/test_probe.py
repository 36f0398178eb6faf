"""Trying the largest step before anything is spent on it."""

import pytest
import torch

from tlf.engine.boundary import boundaries
from tlf.engine.network import build_network, inference_of
from tlf.engine.probe import largest_step, probe_step, probe_steps
from tlf.errors import SpecError


def probe_largest(job, model):
    inference = inference_of(job, model)
    cuts = boundaries(job.plan, model, inference)
    index = largest_step(job.plan, cuts)
    return probe_step(job, model, inference, job.plan.steps[index], cuts[index])


def test_a_batch_of_one_image_that_a_norm_cannot_take_is_a_problem_with_a_way_out(make_job):
    job = make_job(strategy="from-scratch", training={"epochs": 1, "batch_size": 1})
    with pytest.raises(SpecError) as caught:
        probe_largest(job, build_network(job))
    (problem,) = caught.value.problems
    assert problem.path == "training.batch_size"
    assert "on `1` image of 32 pixels at a time: Expected more than 1 value" in problem.message
    assert "at least 2 images a batch" in problem.hint


def test_any_other_failure_of_the_network_is_not_said_to_be_the_batch(job, model, monkeypatch):
    def fail(*_, **__):
        raise ValueError("something else")

    monkeypatch.setattr("tlf.engine.probe.training_loss", fail)
    with pytest.raises(ValueError, match="something else"):
        probe_largest(job, model)


@pytest.fixture
def gradual(make_job):
    return make_job(strategy="gradual-unfreezing", training={"epochs": 6, "batch_size": 8})


def test_the_largest_step_is_the_one_with_the_shortest_frozen_part(gradual):
    steps = gradual.plan.steps
    frozen = [step.frozen_stages for step in steps]
    assert len(steps) > 2
    assert largest_step(gradual.plan, frozen) == frozen.index(min(frozen))
    # Where nothing can be cut off, the one that trains most.
    parameters = [step.trainable_parameters for step in steps]
    assert largest_step(gradual.plan, [0] * len(steps)) == parameters.index(max(parameters))


def test_every_step_is_measured_and_the_network_and_the_generator_left_alone(gradual):
    model = build_network(gradual)
    inference = inference_of(gradual, model)
    cuts = boundaries(gradual.plan, model, inference)
    before = {name: tensor.clone() for name, tensor in model.tensors().items()}
    state = torch.get_rng_state()
    found = probe_steps(gradual, model, inference, cuts)
    assert [one.step for one in found] == [step.name for step in gradual.plan.steps]
    assert all(one.seconds_per_batch > 0 and one.peak_memory_bytes > 0 for one in found)
    assert torch.get_rng_state().equal(state)
    assert all(model.tensors()[name].equal(value) for name, value in before.items())
    assert all(tensor.grad is None for tensor in model.tensors().values())
