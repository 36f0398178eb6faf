import torch
from torch import nn

from tlf.plugin.stages.kinds import kind_of_tensors


class MyRmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4))


class Normalizer(nn.Module):
    """Named like a norm, but its parameter is a matrix."""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.ones(4, 4))


def test_every_tensor_has_the_kind_of_what_it_does():
    network = nn.ModuleDict(
        {
            "conv": nn.Conv2d(3, 4, 1),
            "batch": nn.BatchNorm2d(4),
            "layer": nn.LayerNorm(4),
            "mine": MyRmsNorm(),
            "attention": nn.MultiheadAttention(4, 1),
            "other": Normalizer(),
        }
    )
    kinds = kind_of_tensors(network)
    assert kinds["conv.weight"] == kinds["attention.in_proj_weight"] == "weight"
    assert kinds["conv.bias"] == kinds["attention.in_proj_bias"] == "bias"
    assert kinds["batch.bias"] == kinds["batch.running_var"] == kinds["layer.weight"] == "norm"
    assert kinds["mine.gain"] == "norm"
    assert kinds["other.matrix"] == "weight"
