"""Tensors without versions go into modules that ask for one."""

import pytest
import torch
import torchvision
from torch import nn

from tlf.plugin.stages.state import load_state


def test_a_module_that_refuses_a_state_without_a_version_takes_plain_tensors():
    network, other = (torchvision.models.mnasnet0_5() for _ in range(2))
    tensors = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(ValueError, match="version should be set"):
        network.load_state_dict(tensors)
    load_state(network, tensors, strict=True)
    assert all(tensor.equal(tensors[name]) for name, tensor in network.state_dict().items())


def test_a_tensor_too_many_or_too_few_is_an_error_if_that_is_asked_for():
    layer = nn.Linear(2, 3)
    tensors = {"weight": torch.ones(3, 2)}
    load_state(layer, tensors, strict=False)
    assert layer.weight.equal(tensors["weight"])
    with pytest.raises(RuntimeError, match="bias"):
        load_state(layer, tensors, strict=True)
