"""Running parts: the library's own code runs, and the parts give what the whole gives."""

import copy

import pytest
import torch
from torch import nn

from tests.core.plugin.stages.conftest import convolution


class Positions(nn.Module):
    """Uses a table of its own that does not depend on the image, and returns mappings between."""

    class Block(nn.Module):
        def __init__(self, inside=4):
            super().__init__()
            self.layer = convolution(inside)

        def forward(self, x, *, scale):
            return {"x": self.layer(x) * scale}

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.rand(1, 4, 1, 1))
        self.scale = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
        self.a, self.b, self.c = self.Block(3), self.Block(), self.Block()
        self.d, self.e = convolution(), convolution()
        self.fc = None

    def forward(self, x):
        # Computed without the image, before everything, and used in every block.
        scale = self.scale(self.table.reshape(4, 1)).reshape(1, 4, 1, 1)
        x = self.a(x, scale=scale)["x"]
        x = self.b(x, scale=scale)["x"].relu_()
        x = self.c(x, scale=scale)["x"].relu_()
        return self.fc(self.e(self.d(x)).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, inside=4):
        super().__init__()
        self.main = convolution(inside)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.norm(self.main(x)))


class Shared(nn.Module):
    """One activation module serves every layer."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = Block(3), Block(), Block(), Block()
        self.act = nn.ReLU(inplace=True)
        self.fc = None

    def forward(self, x):
        for block in (self.a, self.b, self.c, self.d):
            x = self.act(block(x) - 0.1)
        return self.fc(x.mean((2, 3)))


@pytest.fixture(params=[Positions, Shared])
def backbone(request, build):
    return build(request.param)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_parts_give_what_the_whole_gives_at_every_cut_and_batch(backbone, batch):
    images = torch.randn(batch, 3, 8, 8)
    whole = backbone(images)
    assert len(backbone.stages) > 2
    for cut in range(len(backbone.stages) + 1):
        crossing = backbone.run(images, 0, cut)
        assert backbone.run(crossing, cut, len(backbone.stages)).equal(whole)


def test_single_stages_in_a_row_give_what_the_whole_gives(backbone):
    images = torch.randn(2, 3, 8, 8)
    tensor = images
    for index, stage in enumerate(backbone.stages):
        tensor = backbone.run(tensor, index, index + 1)
        assert tuple(tensor.shape[1:]) == stage.outline.output_shape
    assert tensor.equal(backbone(images))


def test_the_network_is_as_it_was_after_a_part_was_run(backbone):
    images = torch.randn(2, 3, 8, 8)
    before = backbone(images)
    backbone.run(images, 0, 1)
    with pytest.raises(RuntimeError):
        backbone.run(torch.randn(2, 9, 8, 8), 1, len(backbone.stages))
    assert not any("forward" in module.__dict__ for module in backbone.module.modules())
    assert backbone(images).equal(before)


def test_gradients_of_a_part_are_those_of_the_whole(backbone):
    images = torch.randn(2, 3, 8, 8)
    cut, count = 1, len(backbone.stages)
    late = [
        dict(backbone.module.named_parameters())[name]
        for stage in backbone.stages[cut:]
        for group in stage.groups.values()
        for name in group.parameters
    ]
    expected = torch.autograd.grad(backbone(images).square().sum(), late)
    with torch.no_grad():
        crossing = backbone.run(images, 0, cut)
    given = torch.autograd.grad(backbone.run(crossing, cut, count).square().sum(), late)
    assert all(a.equal(b) for a, b in zip(expected, given, strict=True))


def test_a_copy_runs_its_own_modules(backbone):
    images = torch.randn(2, 3, 8, 8)
    before = backbone.run(backbone.run(images, 0, 1), 1, len(backbone.stages))
    twin = copy.deepcopy(backbone)
    with torch.no_grad():
        for parameter in twin.module.parameters():
            parameter.zero_()
    assert backbone.run(backbone.run(images, 0, 1), 1, len(backbone.stages)).equal(before)
    assert not twin.run(twin.run(images, 0, 1), 1, len(twin.stages)).equal(before)


def test_stages_that_are_not_there_are_refused(backbone):
    with pytest.raises(IndexError, match="stages"):
        backbone.run(torch.randn(1, 3, 8, 8), 2, 99)


def test_a_cut_that_changes_a_feature_is_not_used(build):
    class Secretive(nn.Module):
        """Remembers an activation outside of what a recording of shapes could follow."""

        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = convolution(3), convolution(), convolution()
            self.fc = None
            self.seen = 0.0

        def forward(self, x):
            x = self.a(x)
            self.seen = 0.0 if x.is_meta else float(x.detach().mean())
            x = self.c(self.b(x))
            return self.fc(x.mean((2, 3)) + self.seen)

    backbone = build(Secretive)
    assert len(backbone.stages) == 3
    assert backbone.exact_cut(3) == 3
    assert backbone.exact_cut(2) == 1


def test_an_exact_cut_is_found_at_once(backbone):
    count = len(backbone.stages)
    assert [backbone.exact_cut(cut) for cut in range(count + 1)] == list(range(count + 1))
