"""The moving average, against one written down here."""

import pytest
import torch

from tlf.engine.averaging import MovingAverage


@pytest.fixture
def groups(model):
    return model.outline.expand([model.outline.body[-1], "head"])


def change(model, groups, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in model.names_in(groups):
            tensor = model.tensors()[name]
            if tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator))
            else:
                tensor.add_(1)


def test_it_is_the_average_that_is_written_down_here(model, groups):
    average = MovingAverage(model, groups, 0.3)
    names = model.names_in(groups)
    expected = {name: model.tensors()[name].detach().double() for name in names}
    for update in range(1, 6):
        change(model, groups, update)
        average.update()
        # 2/11, 3/12, 4/13, and then the decay.
        decay = min(0.3, (1 + update) / (10 + update))
        for name in names:
            now = model.tensors()[name].detach().double()
            expected[name] = decay * expected[name] + (1 - decay) * now
    assert average.updates == 5
    for name, value in average.state.items():
        if value.is_floating_point():
            assert torch.allclose(value.double(), expected[name], atol=1e-6), name
        else:
            assert value == model.tensors()[name]


def test_the_network_has_it_for_a_while_and_then_its_own_weights_bit_by_bit(model, groups):
    average = MovingAverage(model, groups, 0.9)
    change(model, groups, 0)
    average.update()
    before = {name: tensor.clone() for name, tensor in model.tensors().items()}
    with average.in_place():
        for name, value in average.state.items():
            assert torch.equal(model.tensors()[name], value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.tensors().items())
    average.settle()
    assert all(torch.equal(model.tensors()[name], value) for name, value in average.state.items())
    others = before.keys() - average.state.keys()
    assert others
    assert all(torch.equal(model.tensors()[name], before[name]) for name in others)


def test_it_goes_on_where_another_one_was(model, groups):
    first = MovingAverage(model, groups, 0.9)
    change(model, groups, 0)
    first.update()
    second = MovingAverage(model, groups, 0.9)
    second.load(first.state, first.updates)
    change(model, groups, 1)
    first.update()
    second.update()
    assert first.updates == second.updates
    assert all(torch.equal(value, second.state[name]) for name, value in first.state.items())
