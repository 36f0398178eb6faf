"""The generators that dropout draws from: a run leaves them as they were, and checkpoints keep them."""

from types import SimpleNamespace

import pytest
import torch

from tlf.engine.generators import forked_generators, generator_states, set_generator_states

CPU = torch.device("cpu")
GPU = torch.device("cuda", 1)


@pytest.fixture
def gpus(monkeypatch):
    """The states of the generators of two GPUs that are made up."""
    states = [torch.tensor([0]), torch.tensor([1])]
    module = SimpleNamespace(
        get_rng_state=lambda device: states[device.index],
        set_rng_state=lambda state, device: states.__setitem__(device.index, state),
        device_count=lambda: len(states),
    )
    monkeypatch.setattr(torch, "get_device_module", lambda device=None: module)
    return states


def test_what_is_drawn_inside_leaves_the_generator_as_it_was():
    before = torch.get_rng_state()
    with forked_generators(CPU):
        torch.rand(3)
    assert torch.get_rng_state().equal(before)


def test_a_run_on_a_gpu_leaves_that_gpus_generator_as_it_was_and_others_alone(gpus):
    with forked_generators(GPU):
        gpus[:] = torch.tensor([10]), torch.tensor([11])
    assert gpus == [torch.tensor([10]), torch.tensor([1])]


def test_a_run_on_the_cpu_does_not_ask_gpus(gpus):
    with forked_generators(CPU):
        gpus[:] = torch.tensor([10]), torch.tensor([11])
    assert gpus == [torch.tensor([10]), torch.tensor([11])]
    assert set(generator_states(CPU)) == {"torch"}


def test_states_go_round(gpus):
    with forked_generators(CPU):
        states = generator_states(GPU)
        expected = torch.rand(3)
        gpus[1] = torch.tensor([5])
        set_generator_states(states, GPU)
        assert torch.rand(3).equal(expected)
    assert gpus[1] == torch.tensor([1])


def test_a_run_that_goes_on_on_another_kind_of_device_takes_what_there_is(gpus):
    with forked_generators(CPU):
        set_generator_states({"torch": torch.get_rng_state()}, GPU)
    assert gpus[1] == torch.tensor([1])
