import pytest
import torch

from tlf.engine.freeze import GradientArrival, check_frozen, frozen_digests, tensor_digest
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


def test_a_running_statistic_that_drifts_fails_the_run(job, model):
    frozen = model.outline.groups[:-2]
    before = frozen_digests(model, frozen)
    for module in model.backbone.module.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()  # what `requires_grad=False` alone leaves behind
    with torch.no_grad():
        model.backbone(torch.randn(2, 3, 32, 32))
    with pytest.raises(
        RunError, match=r"frozen tensors changed in step `head`: `backbone\..*running_mean"
    ):
        check_frozen(before, frozen_digests(model, frozen), "head")


def test_every_parameter_and_buffer_of_a_frozen_network_is_digested(model):
    digests = frozen_digests(model, model.outline.groups)
    assert digests.keys() == set(model.tensors())


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
