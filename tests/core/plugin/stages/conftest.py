"""Small networks that are hard to cut, each for a reason of its own."""

import pytest
import torch
from torch import nn

from tlf.plugin import BackboneFamily, InputConfig, Options
from tlf.plugin.stages import build_backbone


class Toy(BackboneFamily[Options]):
    """A family of one network, that a test gives."""

    def __init__(self, make, width=4):
        super().__init__(Options())
        self._make = make
        self._width = width

    def models(self):
        return ["toy"]

    def input_config(self, model):
        return InputConfig(size=8, resize=8)

    def create(self, model, image_size):
        return nn.Sequential()  # replaced below

    def classifier(self, network):
        return "fc"

    def create_network(self):
        network = self._make()
        network.fc = nn.Linear(self._width, 3)
        return network


@pytest.fixture
def build():
    """Return a function that makes a backbone of a network's class, randomised, in evaluation mode."""

    def make(network, width=4):
        # A class of its own for each network: splits are remembered by class.
        family_class = type("ToyOf" + network.__name__, (Toy,), {})
        family = family_class(network, width)
        family.create = lambda model, size: family.create_network()
        torch.manual_seed(0)
        backbone = build_backbone(family, "toy", 8)
        with torch.no_grad():
            for tensor in (*backbone.module.parameters(), *backbone.module.buffers()):
                if tensor.is_floating_point():
                    tensor.add_(torch.rand_like(tensor) * 0.1)
        return backbone

    return make


def convolution(inside=4, outside=4):
    return nn.Conv2d(inside, outside, 3, padding=1)
