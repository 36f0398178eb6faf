"""Checkpoints: everything goes round, and damage is seen before anything is taken over."""

import json

import pytest
import torch

from tlf.engine.checkpoint import Position, load_checkpoint, save_checkpoint
from tlf.engine.loop import training_loss
from tlf.engine.network import build_network
from tlf.engine.optimizer import StepOptimizer
from tlf.errors import RunError


@pytest.fixture
def trained(job, model):
    """The optimizer of a network after two batches."""
    return train_two_batches(job, model)


def train_two_batches(job, model):
    optimizer = optimizer_of(job, model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(2):
            train_batch(job, model, optimizer)
    return optimizer


def optimizer_of(job, model):
    (step,) = job.plan.steps
    model.thaw(step.trainable)
    return StepOptimizer(model, step, job.spec.training, job.device.precision)


def train_batch(job, model, optimizer):
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1])
    loss = training_loss(model, images, 0, labels, spec=job.spec, device=job.device)
    optimizer.backward(loss)
    optimizer.step(1.0)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_training_goes_on_from_a_checkpoint_to_the_same_bytes(
    job, half_job, model, tmp_path, precision
):
    job = half_job if precision == "float16" else job
    trained = train_two_batches(job, model)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        path = save_checkpoint(tmp_path, model, trained, Position(step=0, epoch=1, batch=2))
        train_batch(job, model, trained)

        other = build_network(job)
        optimizer = optimizer_of(job, other)
        assert load_checkpoint(path, other, optimizer) == Position(step=0, epoch=1, batch=2)
        train_batch(job, other, optimizer)
    expected = model.state_dict()
    assert all(value.equal(expected[name]) for name, value in other.state_dict().items())


def test_the_scale_of_float16_goes_round(half_job, model, tmp_path):
    trained = train_two_batches(half_job, model)
    trained.scaler.load_state_dict(trained.scaler.state_dict() | {"scale": 8.0})
    path = save_checkpoint(tmp_path, model, trained, Position(0, 1, 2))
    other = optimizer_of(half_job, model)
    load_checkpoint(path, model, other)
    assert other.scaler.state_dict() == trained.scaler.state_dict()
    assert other.scale == 8.0


def test_a_checkpoint_of_another_precision_is_refused(half_job, model, trained, tmp_path):
    path = save_checkpoint(tmp_path, model, trained, Position(0, 1, 2))
    with pytest.raises(RunError, match="was made in another precision"):
        load_checkpoint(path, model, optimizer_of(half_job, model))


def test_the_optimizers_state_is_kept_by_parameter_name(model, trained, tmp_path):
    from safetensors.torch import load_file

    path = save_checkpoint(tmp_path, model, trained, Position(0, 1, 2))
    state = load_file(path / "optimizer.safetensors")
    assert "head.linear.weight|exp_avg" in state
    assert "backbone.conv1.0.weight|step" in state


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "generator.safetensors"]
)
def test_a_changed_byte_is_seen_and_nothing_is_taken_over(model, trained, tmp_path, name):
    path = save_checkpoint(tmp_path, model, trained, Position(0, 1, 2))
    content = bytearray((path / name).read_bytes())
    content[-1] ^= 1
    (path / name).write_bytes(content)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(RunError, match=f"`{name}` has changed"):
        load_checkpoint(path, model, trained)
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


def test_a_checkpoint_without_its_state_is_refused(model, trained, tmp_path):
    path = save_checkpoint(tmp_path, model, trained, Position(0, 1, 2))
    (path / "state.json").write_text(json.dumps({"format_version": 1}))
    with pytest.raises(RunError, match="cannot be read"):
        load_checkpoint(path, model, trained)


def test_no_file_of_a_checkpoint_is_a_pickle(model, trained, tmp_path):
    path = save_checkpoint(tmp_path, model, trained, Position(0, 1, 2))
    assert {file.suffix for file in path.iterdir()} == {".safetensors", ".json"}


def test_the_newest_two_are_kept_whatever_their_numbers(model, trained, tmp_path):
    for epoch in (9998, 9999, 10000):
        save_checkpoint(tmp_path, model, trained, Position(0, epoch, epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-009999", "epoch-010000"]
