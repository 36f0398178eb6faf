"""Which normalisations fold into a convolution, and which weights may be rounded once."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.core.plugin.stages.conftest import convolution
from tlf.plugin.stages.folds import Fold, find_folds, find_lowered
from tlf.plugin.stages.recording import record


def recorded(network):
    """The recording of a network in evaluation mode, on the meta device, as a split makes it."""
    with torch.device("meta"):
        made = network().eval()
        return record(made, torch.empty(2, 3, 8, 8))


def folds(network):
    return [(fold.convolution, fold.norm) for fold in find_folds(recorded(network))]


def lowered(network):
    return set(find_lowered(recorded(network)))


class Plain(nn.Module):
    """A convolution whose output only a norm reads, without a bias and with one."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.deep = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, padding=2), nn.BatchNorm2d(4))

    def forward(self, x):
        return self.deep(self.bn(self.conv(x)).relu()).mean((2, 3))


def test_a_convolution_takes_the_norm_that_alone_reads_its_output():
    assert folds(Plain) == [("conv", "bn"), ("deep.0", "deep.1")]
    assert next(iter(find_folds(recorded(Plain)))) == Fold(convolution="conv", norm="bn")


class Base(nn.Module):
    """A convolution and a norm, which classes below put together in wrong ways."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = convolution(3), nn.BatchNorm2d(4)


class ReadTwice(Base):
    """What the convolution gives is added to what the norm makes of it."""

    def forward(self, x):
        x = self.conv(x)
        return (self.bn(x) + x).mean((2, 3))


class ReadByTwoNorms(Base):
    """Two norms read it."""

    def __init__(self):
        super().__init__()
        self.other = nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.conv(x)
        return (self.bn(x) + self.other(x)).mean((2, 3))


class Returned(Base):
    """Whoever called the network reads it, too."""

    def forward(self, x):
        x = self.conv(x)
        self.bn(x)
        return x


class NormFirst(Base):
    """The norm comes before the convolution."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.conv(self.bn(x)).mean((2, 3))


class ActivatedBetween(Base):
    """Something comes between."""

    def forward(self, x):
        return self.bn(self.conv(x).relu()).mean((2, 3))


class WrittenBetween(Base):
    """Something is written into the output before the norm reads it."""

    def forward(self, x):
        return self.bn(self.conv(x).relu_()).mean((2, 3))


class ReadInPart(Base):
    """The norm reads a part of it."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(2)

    def forward(self, x):
        first, second = self.conv(x).chunk(2, dim=1)
        return torch.cat([self.bn(first), second], dim=1).mean((2, 3))


class ComputedWeight(Base):
    """The weight is standardised before it is used, as networks without batch norms do."""

    class Conv(nn.Conv2d):
        def forward(self, x):
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return functional.conv2d(x, weight, self.bias, padding=1)

    def __init__(self):
        super().__init__()
        self.conv = self.Conv(3, 4, 3)

    def forward(self, x):
        return self.bn(self.conv(x)).mean((2, 3))


class ComputedBias(Base):
    """The bias is scaled before it is used."""

    class Conv(nn.Conv2d):
        def forward(self, x):
            return functional.conv2d(x, self.weight, self.bias * 2, padding=1)

    def __init__(self):
        super().__init__()
        self.conv = self.Conv(3, 4, 3)

    def forward(self, x):
        # A weight that is the module's own, and a bias that nobody could find in the operation.
        return self.bn(self.conv(x)).mean((2, 3))


class CalledTwice(Base):
    """The convolution is called twice, each time for another norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.other = convolution(3, 3), nn.BatchNorm2d(3)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.other(self.conv(self.bn(self.conv(x)))).mean((2, 3))


class Tied(Base):
    """Two convolutions share their weight."""

    def __init__(self):
        super().__init__()
        self.conv, self.second = convolution(3, 3), convolution(3, 3)
        self.second.weight = self.conv.weight
        self.bn, self.other = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.other(self.second(self.bn(self.conv(x)))).mean((2, 3))


class SharedNorm(Base):
    """One norm follows two convolutions."""

    def __init__(self):
        super().__init__()
        self.second = convolution(4)

    def forward(self, x):
        return self.bn(self.second(self.bn(self.conv(x)))).mean((2, 3))


class NoStatistics(Base):
    """The norm has no statistics of its own: it looks at the batch in evaluation, too."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.bn(self.conv(x)).mean((2, 3))


class OtherNorm(Base):
    """The norm looks at the image."""

    def __init__(self):
        super().__init__()
        self.bn = nn.GroupNorm(2, 4)

    def forward(self, x):
        return self.bn(self.conv(x)).mean((2, 3))


@pytest.mark.parametrize(
    "network",
    [
        ReadTwice,
        ReadByTwoNorms,
        Returned,
        NormFirst,
        ActivatedBetween,
        WrittenBetween,
        ReadInPart,
        ComputedWeight,
        CalledTwice,
        Tied,
        SharedNorm,
        NoStatistics,
        OtherNorm,
    ],
)
def test_nothing_folds_where_it_would_be_missing_elsewhere(network):
    assert folds(network) == []


def test_a_bias_that_is_computed_stays_out_of_it():
    """The convolution would add what it computes to the folded bias."""
    assert folds(ComputedBias) == []


class Added(nn.Module):
    """Parameters that are multiplied, added, and both."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8)
        self.bn = nn.BatchNorm2d(4)
        self.position = nn.Parameter(torch.randn(1, 4))
        self.linear = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.both = nn.Parameter(torch.randn(4, 4))
        self.matrix = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        x = self.bn(self.conv(x)).flatten(1) + self.position
        x = self.norm(self.linear(x))
        return x @ self.both @ self.matrix.t() + self.both[0]


def test_what_is_only_ever_multiplied_may_be_rounded_once():
    assert lowered(Added) == {"conv.weight", "conv.bias", "linear.weight", "linear.bias", "matrix"}


def test_a_weight_that_is_computed_first_is_not_rounded_before():
    assert "conv.weight" not in lowered(ComputedWeight)


class Filter(nn.Module):
    """A fixed filter, a buffer, as networks have that blur before they take fewer pixels."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("filter", torch.ones(4, 1, 2, 2))

    def forward(self, x):
        return functional.conv2d(self.conv(x), self.filter, groups=4).mean((2, 3))


def test_only_parameters_are_named_for_rounding():
    assert lowered(Filter) == {"conv.weight", "conv.bias"}
