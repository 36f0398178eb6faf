import pytest
import torch
from torch import nn

from tlf.engine.model import LinearHead


def dropout_and_norm_modes(model):
    return {
        name: module.training
        for name, module in model.backbone.module.named_modules()
        if isinstance(module, nn.Dropout | nn.BatchNorm2d)
    }


def test_freezing_everything_but_the_head_puts_the_backbone_into_evaluation_mode(model):
    model.thaw(["head:weight", "head:bias"])
    assert not any(dropout_and_norm_modes(model).values())
    assert model.head.training
    assert model.frozen_stages == len(model.backbone.stages)


def test_only_the_named_groups_require_gradients(model):
    stage = model.backbone.stages[2].name
    model.thaw([f"{stage}:weight"])
    learning = {name for name, tensor in model.tensors().items() if tensor.requires_grad}
    assert learning == set(model.groups()[f"{stage}:weight"].parameters)
    assert model.frozen_stages == 2


def test_a_norm_whose_own_parameters_are_frozen_keeps_its_statistics(model):
    stage = model.backbone.stages[2].name
    model.thaw([f"{stage}:weight", "head:weight"])
    assert not any(dropout_and_norm_modes(model).values())


def crossing_of(model, images, cut, device):
    """What comes out of the stages before a cut, in evaluation mode."""
    with torch.no_grad(), device.autocast():
        return model.backbone.run(images, 0, cut) if cut else images


@pytest.mark.parametrize("cut", [0, 1])
def test_a_frozen_norm_gives_the_same_bytes_after_training_of_the_stages_above(job, model, cut):
    groups = [g for g in model.outline.groups if not g.startswith(model.backbone.stages[0].name)]
    model.thaw(groups)
    first = model.backbone.stages[0]
    before = {
        name: model.tensors()[f"backbone.{name}"].clone()
        for group in first.groups.values()
        for name in (*group.parameters, *group.buffers)
    }
    crossing = crossing_of(model, torch.randn(4, 3, 32, 32), cut, job.device)
    logits = model.logits(crossing, cut, job.device)
    logits.square().mean().backward()
    for parameter in model.parameters_of(groups).values():
        parameter.data -= 0.1 * parameter.grad
    assert before
    assert all(model.tensors()[f"backbone.{name}"].equal(value) for name, value in before.items())


def test_the_frozen_prefix_changes_no_logit(job, model):
    images = torch.randn(3, 3, 32, 32)
    model.eval()
    with torch.no_grad():
        expected = model.logits(images, 0, job.device)
    for cut in range(len(model.backbone.stages) + 1):
        crossing = crossing_of(model, images, cut, job.device)
        assert model.logits(crossing, cut, job.device).equal(expected)


@pytest.mark.parametrize("cut", [0, 1])
def test_no_gradient_reaches_a_frozen_prefix(job, model, cut):
    model.thaw([g for g in model.outline.groups if not g.startswith(model.backbone.stages[0].name)])
    assert model.frozen_stages == 1
    crossing = crossing_of(model, torch.randn(2, 3, 32, 32), cut, job.device)
    model.logits(crossing, cut, job.device).sum().backward()
    first = model.backbone.stages[0].groups
    assert all(
        model.tensors()[f"backbone.{name}"].grad is None
        for group in first.values()
        for name in group.parameters
    )
    assert model.head.linear.weight.grad is not None


def test_the_state_has_the_librarys_names_behind_a_prefix(model):
    names = set(model.state_dict())
    assert {"head.linear.weight", "head.linear.bias", "backbone.conv1.0.weight"} <= names
    assert not any(name.startswith("backbone.fc") for name in names)


def test_a_state_goes_round(model):
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for tensor in model.tensors().values():
        tensor.data.zero_()
    model.load_state_dict(state)
    assert all(tensor.equal(state[name]) for name, tensor in model.state_dict().items())


def test_the_head_starts_from_the_seed_alone():
    heads = [LinearHead(8, 3, 0.0) for _ in range(3)]
    for head, seed in zip(heads, (1, 1, 2), strict=True):
        head.reset(torch.Generator().manual_seed(seed))
    assert heads[0].linear.weight.equal(heads[1].linear.weight)
    assert not heads[0].linear.weight.equal(heads[2].linear.weight)


def test_the_head_computes_in_float32_whatever_comes():
    head = LinearHead(8, 3, 0.0)
    assert head(torch.randn(2, 8).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_the_outline_ends_with_the_head(model, kind):
    assert model.outline.head == "head"
    assert f"head:{kind}" in model.outline.groups
