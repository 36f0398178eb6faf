"""Where small networks are cut, and where they must not be."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.core.plugin.stages.conftest import convolution


def names(backbone):
    return [stage.name for stage in backbone.stages]


class Chain(nn.Module):
    """A plain chain, with activations that write into their input."""

    def __init__(self):
        super().__init__()
        layers = []
        for index in range(5):
            layers += [convolution(3 if index == 0 else 4), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)
        self.fc = None

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)))


def test_a_chain_is_cut_after_every_layer_with_parameters(build):
    assert names(build(Chain)) == ["body.0", "body.2", "body.4", "body.6", "body.8"]


def test_an_activation_that_writes_into_its_input_belongs_to_the_stage_before(build):
    backbone = build(Chain)
    images = torch.randn(2, 3, 8, 8)
    crossing = backbone.run(images, 0, 2)
    kept = crossing.clone()
    assert bool((crossing >= 0).all())
    backbone.run(crossing, 2, 5)
    assert crossing.equal(kept)


class Residual(nn.Module):
    """A shortcut around two convolutions: two tensors cross between them."""

    def __init__(self):
        super().__init__()
        self.stem = convolution(3)
        self.first, self.second = convolution(), convolution()
        self.top = convolution()
        self.fc = None

    def forward(self, x):
        x = self.stem(x)
        x = x + self.second(self.first(x).relu())
        return self.fc(self.top(x).mean((2, 3)))


def test_nothing_is_cut_under_a_shortcut(build):
    backbone = build(Residual)
    assert names(backbone) == ["stem", "first", "top"]
    assert {"first.weight", "second.weight"} <= set(backbone.stages[1].groups["weight"].parameters)


class Tied(nn.Module):
    """One convolution's weights are used twice, as a function."""

    def __init__(self):
        super().__init__()
        self.stem, self.middle, self.top = convolution(3), convolution(), convolution()
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3))
        self.fc = None

    def forward(self, x):
        x = functional.conv2d(self.stem(x), self.weight, padding=1)
        x = functional.conv2d(self.middle(x), self.weight, padding=1)
        return self.fc(self.top(x).mean((2, 3)))


def test_nothing_is_cut_between_two_uses_of_a_parameter(build):
    assert names(build(Tied)) == ["stem", "weight", "top"]


class ConvolutionNorm(nn.Module):
    """Convolutions, each with a batch normalisation of its own."""

    def __init__(self):
        super().__init__()
        self.a, self.a_norm = convolution(3), nn.BatchNorm2d(4)
        self.b, self.b_norm = convolution(), nn.BatchNorm2d(4)
        self.c = convolution()
        self.fc = None

    def forward(self, x):
        x = self.a_norm(self.a(x)).relu()
        x = self.b_norm(self.b(x)).relu()
        return self.fc(self.c(x).mean((2, 3)))


def test_a_convolution_and_its_batch_normalisation_stay_together(build):
    backbone = build(ConvolutionNorm)
    assert names(backbone) == ["a", "b", "c"]
    assert backbone.stages[0].groups["norm"].parameters == ("a_norm.weight", "a_norm.bias")
    assert set(backbone.stages[0].groups["norm"].buffers) == {
        "a_norm.running_mean",
        "a_norm.running_var",
        "a_norm.num_batches_tracked",
    }


class BatchInShape(nn.Module):
    """Between its layers the batch is folded into another dimension."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = convolution(3), nn.Linear(8, 8), convolution()
        self.fc = None

    def forward(self, x):
        x = self.a(x)
        n = len(x)
        x = self.b(x.reshape(n * 4, 8, 8)).reshape(n, 4, 8, 8)
        return self.fc(self.c(x).mean((2, 3)))


def test_a_tensor_whose_first_dimension_is_not_the_batch_does_not_cross(build):
    backbone = build(BatchInShape)
    for stage in backbone.stages[:-1]:
        assert stage.outline.output_shape == (4, 8, 8)


class Branches(nn.Module):
    """Two branches side by side from the image to the end."""

    def __init__(self):
        super().__init__()
        self.left, self.right = convolution(3), convolution(3)
        self.fc = None

    def forward(self, x):
        return self.fc((self.left(x) + self.right(x)).mean((2, 3)))


def test_a_network_that_cannot_be_cut_is_one_stage_and_says_so(build):
    backbone = build(Branches)
    assert len(backbone.stages) == 1
    assert "1 stages" in backbone.imbalances[0]
    images = torch.randn(2, 3, 8, 8)
    assert backbone.run(images, 0, 1).equal(backbone(images))


class Deep(nn.Module):
    """Forty layers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*[convolution(3 if i == 0 else 4) for i in range(40)])
        self.fc = None

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)))


def test_more_than_thirty_stages_are_merged(build):
    backbone = build(Deep)
    assert len(backbone.stages) == 30
    assert not backbone.imbalances
    assert sum(stage.outline.parameter_count for stage in backbone.stages) == sum(
        p.numel() for p in backbone.module.parameters()
    )


class FunctionalDropout(nn.Module):
    """The network itself drops features, between two of its layers, in train mode."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = convolution(3), convolution(), convolution()
        self.fc = None

    def forward(self, x):
        x = self.a(x)
        x = functional.dropout(self.b(x), 0.5, self.training)
        return self.fc(self.c(x).mean((2, 3)))


def stages_that_make_it_random(backbone):
    """Train one stage at a time, and return those in whose turn the features are random."""
    images = torch.randn(2, 3, 8, 8)
    found = []
    for stage in backbone.stages:
        for other in backbone.stages:
            other.train(other is stage)
        if not backbone(images).equal(backbone(images)):
            found.append(stage.name)
    return found


def test_the_mode_of_a_module_that_spans_stages_is_decided_where_it_matters(build):
    backbone = build(FunctionalDropout)
    assert names(backbone) == ["a", "b", "c"]
    assert stages_that_make_it_random(backbone) == ["c"]


class TwoFunctionalDropouts(FunctionalDropout):
    """One flag decides about two places."""

    def forward(self, x):
        x = functional.dropout(self.a(x), 0.5, self.training)
        x = functional.dropout(self.b(x), 0.5, self.training)
        return self.fc(self.c(x).mean((2, 3)))


def test_nothing_is_cut_between_two_places_that_one_flag_decides_about(build):
    backbone = build(TwoFunctionalDropouts)
    assert names(backbone) == ["a", "b", "c"]
    assert stages_that_make_it_random(backbone) == ["b"]


class Wide(nn.Module):
    """Four layers; the smallest tensor is the pooled one."""

    def __init__(self):
        super().__init__()
        self.a, self.pool, self.b = convolution(3), nn.MaxPool2d(2), convolution()
        self.c, self.d = convolution(), convolution()
        self.fc = None

    def forward(self, x):
        x = self.d(self.c(self.b(self.pool(self.a(x)))))
        return self.fc(x.mean((2, 3)))


def test_of_several_places_the_one_with_the_smallest_tensor_is_taken(build):
    assert build(Wide).stages[0].outline.output_shape == (4, 4, 4)


class NoTensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = convolution(3)
        self.fc = None

    def forward(self, x):
        return self.a(x)


def test_a_network_that_returns_no_flat_features_is_refused_with_its_shape(build):
    with pytest.raises(ValueError, match=r"one tensor \(N, width\).*\(2, 4, 8, 8\)"):
        build(NoTensor)
