"""Strategies that add to a network and break a promise of it, each caught and told what to change."""

import random

import pytest
import torch
from torch import nn

from tlf.testing import ContractError
from tlf.testing.adapters import (
    check_finish_leaves_the_library_network,
    check_prepare_changes_no_output,
    check_prepare_is_the_same_each_time,
)
from tlf.testing.strategies import CHECKS, check_what_never_learns_stays
from tlf.testing.toy_adapters import ThinConvolution, ToyAdapters, put

from .saboteurs import Saboteur


class Dicing(ToyAdapters):
    """How many channels it takes depends on when it is asked."""

    width = 0

    def prepare(self, backbone, outline):
        Dicing.width += 1
        convolution = backbone.module.get_submodule("blocks.1.0")
        put(backbone.module, "blocks.1.0", ThinConvolution(convolution, Dicing.width))


class OwnDice(ToyAdapters):
    """Draws its numbers from a generator of its own."""

    def prepare(self, backbone, outline):
        super().prepare(backbone, outline)
        for module in backbone.module.modules():
            if isinstance(module, ThinConvolution):
                nn.init.constant_(module.down.weight, random.random())


class Eager(ToyAdapters):
    """Begins with adding something."""

    def prepare(self, backbone, outline):
        super().prepare(backbone, outline)
        for module in backbone.module.modules():
            if isinstance(module, ThinConvolution):
                nn.init.ones_(module.up.weight)


class Removing(ToyAdapters):
    """Puts another convolution in the place of one."""

    def prepare(self, backbone, outline):
        put(backbone.module, "blocks.1.0", nn.Conv2d(6, 6, 3, padding=1))


class Idle(ToyAdapters):
    """Adds nothing at all."""

    def prepare(self, backbone, outline):
        pass


class Unread(ToyAdapters):
    """Adds what the network never looks at."""

    def prepare(self, backbone, outline):
        super().prepare(backbone, outline)
        backbone.module.blocks[1][0].extra = nn.Linear(3, 3)


class Beside(nn.Module):
    """Adds to what goes into the second block, from before the first."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        first = self.blocks[0](x)
        second = self.blocks[1](first + self.scale * x.mean((1, 2, 3), keepdim=True))
        return self.blocks[2](second)


class Reaching(ToyAdapters):
    def prepare(self, backbone, outline):
        backbone.module.blocks = Beside(backbone.module.blocks)


class OnlyOnMeta(ToyAdapters):
    """Adds less to a network with weights than to its outline."""

    def prepare(self, backbone, outline):
        if next(backbone.module.parameters()).is_meta:
            super().prepare(backbone, outline)
            return
        convolution = backbone.module.get_submodule("blocks.1.0")
        put(backbone.module, "blocks.1.0", ThinConvolution(convolution))


class Dropping(ToyAdapters):
    """Throws away what was learned."""

    def finish(self, backbone):
        for path, module in list(backbone.module.named_modules()):
            if isinstance(module, ThinConvolution):
                put(backbone.module, path, module.inner)


class Leaving(ToyAdapters):
    """Forgets the last of them."""

    def finish(self, backbone):
        last = backbone.module.get_submodule("blocks.2.1")
        super().finish(backbone)
        put(backbone.module, "blocks.2.1", last)


class Touching(ToyAdapters):
    """Writes to what it has added nothing to, and what no feature shows."""

    def prepare(self, backbone, outline):
        convolution = backbone.module.get_submodule("blocks.1.0")
        put(backbone.module, "blocks.1.0", ThinConvolution(convolution))

    def finish(self, backbone):
        super().finish(backbone)
        backbone.module.get_submodule("blocks.0.1").weight += 1e-7


class Half(ToyAdapters):
    finish = ToyAdapters.__mro__[1].finish


SABOTEURS = (
    Saboteur(check_prepare_is_the_same_each_time, Dicing, "added something else .* second time"),
    Saboteur(check_prepare_is_the_same_each_time, OwnDice, "other numbers .* from torch's"),
    Saboteur(check_prepare_is_the_same_each_time, Removing, "takes `blocks.1.0..*` out of"),
    Saboteur(check_prepare_is_the_same_each_time, Idle, "adds no parameter to the network"),
    Saboteur(check_prepare_is_the_same_each_time, Unread, "`blocks.1.0.extra.weight`.* no forward"),
    Saboteur(
        check_prepare_is_the_same_each_time,
        Reaching,
        "reaches from stage `blocks.0` into stage `blocks.1`: one tensor only",
    ),
    Saboteur(check_prepare_is_the_same_each_time, Half, "it has `prepare` without `finish`"),
    Saboteur(check_prepare_is_the_same_each_time, OnlyOnMeta, "what it adds on the meta device"),
    Saboteur(check_prepare_changes_no_output, Eager, "must begin with adding nothing"),
    Saboteur(check_finish_leaves_the_library_network, Dropping, "must go into the weights"),
    Saboteur(check_finish_leaves_the_library_network, Leaving, "too many.*`blocks.2.1.inner"),
    Saboteur(
        check_finish_leaves_the_library_network, Touching, r"changed \['blocks.0.1.weight'\], to"
    ),
    Saboteur(check_what_never_learns_stays, Touching, "`finish` changes `blocks.0.1.weight`"),
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_strategy_that_adds_and_merges_as_it_should_passes(check, declare):
    check(declare("strategy", ToyAdapters), {})


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=str)
def test_a_broken_promise_is_caught(saboteur, declare):
    entry = declare("strategy", saboteur.target)
    with pytest.raises(ContractError, match=f"(?s){saboteur.words}"):
        saboteur.check(entry, {})
