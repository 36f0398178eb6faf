import pytest
import torch

from tlf.engine import freeze
from tlf.engine.freeze import FreezeContract, GradientArrival, frozen_tensors, tensor_digest
from tlf.errors import RunError


def test_a_digest_depends_on_every_bit_the_shape_and_the_type():
    tensor = torch.tensor([1.0, 0.0, -2.0])
    changed = tensor.clone()
    changed[1] = -0.0  # equal as a number, another byte
    digests = {
        tensor_digest(value)
        for value in (
            tensor,
            changed,
            tensor.reshape(1, 3),
            tensor.double(),
            tensor.view(torch.int32),
        )
    }
    assert len(digests) == 5


def test_a_digest_does_not_depend_on_the_memory_format():
    image = torch.randn(2, 3, 4, 5)
    assert tensor_digest(image) == tensor_digest(image.to(memory_format=torch.channels_last))


def test_a_running_statistic_that_drifts_fails_the_run(model):
    contract = FreezeContract(model)
    before = contract.begin(model.outline.groups[:-2])
    for module in model.backbone.module.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()  # what `requires_grad=False` alone leaves behind
    with torch.no_grad():
        model.backbone(torch.randn(2, 3, 32, 32))
    with pytest.raises(
        RunError, match=r"frozen tensors changed in step `head`: `backbone\..*running_mean"
    ):
        contract.check(before, "head")


def test_every_parameter_and_buffer_of_a_frozen_network_is_digested(model):
    names = frozen_tensors(model, model.outline.groups)
    assert set(names) == set(model.tensors())
    contract = FreezeContract(model)
    assert contract.begin(model.outline.groups).keys() == set(model.tensors())
    assert contract.digests(names) == {
        name: tensor_digest(tensor) for name, tensor in model.tensors().items()
    }


def test_what_stayed_as_it_was_passes(model):
    contract = FreezeContract(model)
    before = contract.begin(model.outline.groups[:-2])
    model.head.linear.weight.data += 1.0
    contract.check(before, "head")
    assert contract.seconds > 0


def groups_of(model, *stages):
    names = {model.backbone.stages[stage].name for stage in stages}
    return [group for group in model.outline.groups if group.rpartition(":")[0] in names]


def weight_of(model, stage):
    group = next(iter(model.backbone.stages[stage].groups.values()))
    return f"backbone.{group.parameters[0]}"


def test_a_step_that_freezes_what_an_earlier_one_trained_takes_it_as_it_is_then(model):
    contract = FreezeContract(model)
    contract.digests(model.tensors())  # what a cache asks for before the first step
    first = contract.begin(groups_of(model, 0))
    trained = weight_of(model, 1)
    model.tensors()[trained].data += 1.0
    contract.check(first, "one")
    second = contract.begin(groups_of(model, 0, 1))
    assert second[trained] == tensor_digest(model.tensors()[trained])
    contract.check(second, "two")
    model.tensors()[trained].data += 1.0
    with pytest.raises(RunError, match=rf"1 frozen tensors changed in step `three`: `{trained}`"):
        contract.check(second, "three")


def test_a_step_takes_over_the_digests_that_the_one_before_it_ended_with(model, monkeypatch):
    digested = []

    def noted(tensor):
        digested.append(tensor)
        return tensor_digest(tensor)

    monkeypatch.setattr(freeze, "tensor_digest", noted)
    contract = FreezeContract(model)
    first = contract.begin(groups_of(model, 0))
    assert len(digested) == len(first)
    contract.check(first, "one")
    # A check looks at every tensor itself, whatever is known of it.
    assert len(digested) == 2 * len(first)
    second = contract.begin(groups_of(model, 0, 1))
    assert len(digested) == len(first) + len(second)
    assert {name: second[name] for name in first} == first


def test_a_thawed_parameter_without_a_gradient_fails_after_eight_batches():
    used, unused = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    arrival = GradientArrival({"used": used, "unused": unused}, "all", batches=100)
    used.grad = torch.zeros(2)
    for _ in range(7):
        arrival.look()
    with pytest.raises(RunError, match=r"1 parameters that step `all` trains .*: `unused`"):
        arrival.look()


def test_a_step_shorter_than_eight_batches_is_checked_at_its_end():
    unused = torch.nn.Parameter(torch.ones(2))
    arrival = GradientArrival({"unused": unused}, "all", batches=2)
    arrival.look()
    with pytest.raises(RunError, match="never had a gradient"):
        arrival.look()


def test_a_gradient_of_zeros_in_any_of_the_batches_is_enough():
    parameter = torch.nn.Parameter(torch.ones(2))
    arrival = GradientArrival({"p": parameter}, "all", batches=100)
    for batch in range(20):
        parameter.grad = torch.zeros(2) if batch == 5 else None
        arrival.look()
