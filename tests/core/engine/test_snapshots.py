import numpy as np
import pytest
import torch

from tlf.engine.freeze import tensor_digest
from tlf.engine.snapshots import averaged, put_back, snapshot


def digests(model):
    return {name: tensor_digest(tensor) for name, tensor in model.tensors().items()}


def test_a_snapshot_put_back_restores_every_byte_into_the_same_objects(model):
    before, objects = digests(model), dict(model.tensors())
    state = snapshot(model, model.outline.groups)
    with torch.no_grad():
        for tensor in model.tensors().values():
            tensor.add_(1)
    assert not digests(model).items() & before.items()
    put_back(model, state)
    assert digests(model) == before
    assert all(model.tensors()[name] is tensor for name, tensor in objects.items())
    assert all(dict(model.named_tensors())[name] is tensor for name, tensor in objects.items())


def test_a_snapshot_holds_parameters_and_buffers_of_its_groups_and_nothing_else(model):
    last = model.outline.body[-1]
    state = snapshot(model, [f"{last}:norm", "head:bias"])
    leaves = sorted(name.rpartition(".")[2] for name in state)
    assert leaves == sorted(
        ["weight", "bias", "running_mean", "running_var", "num_batches_tracked", "bias"]
    )
    before = digests(model)
    with torch.no_grad():
        for tensor in model.tensors().values():
            tensor.add_(1)
    moved = digests(model)
    put_back(model, state)
    assert digests(model) == {name: (before if name in state else moved)[name] for name in moved}


def test_a_snapshot_is_a_copy_and_needs_no_gradient(model):
    model.thaw(model.outline.groups)
    state = snapshot(model, ["head:bias"])
    with torch.no_grad():
        model.head.linear.bias += 1
    assert state["head.linear.bias"].eq(0).all()
    assert not state["head.linear.bias"].requires_grad


def made_up(*, dtype=torch.float32, count=3):
    generator = torch.Generator().manual_seed(5)
    return [
        {
            "w": (torch.randn(7, 5, generator=generator) * 10**index).to(dtype),
            "count": torch.tensor(index * 10),
        }
        for index in range(count)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shares", [(0.2, 0.3, 0.5), (1 / 3, 1 / 3, 1 / 3), (0.0, 0.25, 0.75)])
def test_the_average_is_the_weighted_mean_in_double_precision(dtype, shares):
    states = made_up(dtype=dtype)
    values = np.stack([state["w"].double().numpy() for state in states])
    reference = torch.from_numpy(np.average(values, axis=0, weights=shares)).to(dtype)
    found = averaged(states, shares)["w"]
    assert found.dtype == dtype
    torch.testing.assert_close(found, reference, rtol=torch.finfo(dtype).eps, atol=1e-12)


def test_what_is_equal_in_all_comes_out_bit_for_bit():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)) / 3
    values[:3] = torch.tensor([0.0, -0.0, 1e-45])
    states = [{"w": values.clone()} for _ in range(3)]
    found = averaged(states, [0.1, 0.2, 0.7])["w"]
    assert tensor_digest(found) == tensor_digest(values)


def test_a_share_of_one_is_the_very_snapshot():
    states = made_up()
    found = averaged(states, [0.0, 1.0, 0.0])
    assert found.keys() == states[1].keys()
    assert all(tensor is states[1][name] for name, tensor in found.items())


def test_a_count_is_taken_from_the_last_that_has_a_share():
    states = made_up()
    assert averaged(states, [0.5, 0.5, 0.0])["count"] == 10
    assert averaged(states, [0.5, 0.0, 0.5])["count"] == 20
    assert averaged(states, [0.5, 0.0, 0.5])["count"].dtype == torch.int64


def test_averaging_leaves_the_snapshots_as_they_are():
    states = made_up()
    averaged(states, [0.2, 0.3, 0.5])
    for state, fresh in zip(states, made_up(), strict=True):
        assert all(state[name].equal(fresh[name]) for name in fresh)
