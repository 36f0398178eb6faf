"""Backbone families that break a promise, each caught and told what to change."""

import contextlib
import itertools
import socket
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from tlf.plugin import InputConfig, Options, WeightsInfo
from tlf.testing import ContractError
from tlf.testing.backbones import (
    CHECKS,
    check_autocast_is_near_enough,
    check_channels_last_changes_nothing,
    check_features_are_flat,
    check_features_are_the_librarys,
    check_frozen_prefix_stays,
    check_gradients_reach_what_can_learn,
    check_groups_are_a_partition,
    check_input_is_described,
    check_items_do_not_depend_on_their_batch,
    check_model_is_listed,
    check_modes_switch_by_stage,
    check_nothing_but_fetch_uses_the_network,
    check_parts_make_the_whole,
    check_state_has_the_librarys_names,
    check_state_makes_a_round_trip,
    check_training_is_the_librarys,
    check_weights_are_found_without_the_network,
)

from .saboteurs import NamedFamily, NamedNetwork, Saboteur

#: A file that is here.
HERE = Path(__file__)
WEIGHTS = WeightsInfo("https://weights.example/tiny-0123abcd.pth", "0123abcd", "MIT", 1000)


def listing(name, models):
    return type(name, (NamedFamily,), {"models": lambda self: models})


def seeing(name, config):
    return type(name, (NamedFamily,), {"input_config": lambda self, model: config})


def creating(network):
    """Return a family of another network."""
    return type(network.__name__, (NamedFamily,), {"network": network})


def classifying(name, path):
    return type(name, (NamedFamily,), {"classifier": lambda self, network: path})


def rebuilding(change):
    """Return a family that changes what tlf has built."""

    def build(self, model, image_size):
        backbone = NamedFamily.build(self, model, image_size)
        changed = change(backbone)
        return backbone if changed is None else changed

    return type(change.__name__, (NamedFamily,), {"build": build})


def weighing(name, info=WEIGHTS, here=None, fetched=None):
    """Return a family with weights; a function stands for what it does."""

    def answer(value):
        return lambda self, model: value() if callable(value) else value

    methods = {"weights": info, "local_weights": here, "fetch": fetched or here}
    return type(name, (NamedFamily,), {key: answer(value) for key, value in methods.items()})


def download():
    socket.create_connection(("weights.example", 443))


def look_for_a_newer_one():
    with socket.socket() as connection, contextlib.suppress(OSError):
        connection.connect(("192.0.2.1", 443))
    return HERE


class Blind(NamedNetwork):
    """Sees nothing, and gives the same features for every image."""

    def features(self, x):
        return super().features(x) * 0 + self.top.bias.reshape(1, 6, 1, 1)


class Exploding(NamedNetwork):
    def features(self, x):
        return super().features(x) * 1e30 * 1e30


class Unpooled(NamedNetwork):
    """Classifies every pixel."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Conv2d(6, 4, 1)

    def forward(self, x):
        return self.fc(self.features(x))


class Growing(NamedNetwork):
    """Every network is a little different from the one before."""

    created = itertools.count()

    def __init__(self):
        super().__init__()
        self.register_buffer(f"extra{next(self.created)}", torch.zeros(1))


class Widening(NamedNetwork):
    created = itertools.count(1)

    def __init__(self):
        super().__init__()
        self.register_buffer("extra", torch.zeros(next(self.created)))


class TwoAnswers(NamedNetwork):
    """Classifies the image and its mirror image."""

    def forward(self, x):
        features = self.features(x).mean((2, 3))
        return self.fc(features) + self.fc(features.flip(1))


class Fixed(NamedNetwork):
    def __init__(self):
        super().__init__()
        self.stem.requires_grad_(False)


class Counting(NamedNetwork):
    """Carries a number past every stage, which no recording of tensors sees."""

    def forward(self, x):
        light = 1.0 if x.is_meta else float(x.abs().mean())
        return self.fc(self.features(x).mean((2, 3)) * light)


class Dropping(NamedNetwork):
    """Drops features in evaluation mode too."""

    def features(self, x):
        return functional.dropout(super().features(x), 0.5, training=True)


class Learning(NamedNetwork):
    """Goes on with its statistics in evaluation mode."""

    def features(self, x):
        norm = self.stem_norm
        x = functional.batch_norm(
            self.stem(x), norm.running_mean, norm.running_var, norm.weight, norm.bias, training=True
        )
        return self.top(self.drop(self.middle_norm(self.middle(x.relu()))))


class Meddling(NamedNetwork):
    """One layer's mode decides what becomes of another's statistics."""

    def features(self, x):
        features = super().features(x)
        if self.top.training and not x.is_meta:
            self.middle_norm.running_mean.add_(1)
        return features


class Detaching(NamedNetwork):
    def features(self, x):
        return super().features(x).detach()


class Forgetting(NamedNetwork):
    """Depends on numbers that are in no state."""

    def __init__(self):
        super().__init__()
        self.scale = torch.rand(6, 1, 1)

    def features(self, x):
        return super().features(x) * self.scale


class Failing(NamedNetwork):
    def forward(self, x):
        if not x.is_meta:
            raise KeyError("layers")
        return super().forward(x)


def louder(backbone):
    backbone.module.register_forward_hook(lambda module, inputs, output: output * 2)


def sober(backbone):
    backbone.module.drop.p = 0.0


def stubborn(backbone):
    backbone.module.stem.weight.register_hook(lambda gradient: gradient * 2)


def sluggish(backbone):
    backbone.module.stem_norm.momentum = 0.5


def headless(backbone):
    backbone.module.fc = nn.Identity()
    del backbone.module.drop
    backbone.module.drop = nn.BatchNorm2d(6)


def module_only(backbone):
    return backbone.module


def losing(backbone):
    backbone.stages[1].groups = {}


def doubling(backbone):
    backbone.stages[1].groups = {
        **backbone.stages[1].groups,
        "bias": backbone.stages[0].groups["norm"],
    }


def all_at_once(backbone):
    backbone.stages[0].train = lambda mode=True, norms=None: backbone.module.train(mode)


def adding(backbone):
    backbone.module.add_module("extra", nn.Dropout())


WEIGHED = check_weights_are_found_without_the_network
LISTED, INPUT = check_model_is_listed, check_input_is_described
FLAT, NAMES = check_features_are_flat, check_state_has_the_librarys_names
FEATURES, TRAINING = check_features_are_the_librarys, check_training_is_the_librarys
PARTS, GROUPS = check_parts_make_the_whole, check_groups_are_a_partition
MODES, FROZEN = check_modes_switch_by_stage, check_frozen_prefix_stays
ROUND_TRIP = check_state_makes_a_round_trip


class Sociable(NamedNetwork):
    """What it makes of an image depends on the others of the batch."""

    def features(self, x):
        features = super().features(x)
        return features - features.mean(0, keepdim=True) / 2


class Detached(NamedNetwork):
    def features(self, x):
        x = self.stem_norm(self.stem(x)).relu()
        x = self.middle_norm(self.middle(x.detach())).relu()
        return self.top(self.drop(x))


class Flat(NamedNetwork):
    """Takes it for granted how a tensor lies in memory."""

    def features(self, x):
        x = super().features(x)
        return x.view(x.shape[0], -1).view(x.shape)


class Sensitive(NamedNetwork):
    """Reads the bits of its features, and takes it that there are 32."""

    def features(self, x):
        x = super().features(x)
        return x + 0 * x.detach().view(torch.int32).bitwise_and(1)


class Rounding(NamedNetwork):
    """Lives on digits that bfloat16 does not have."""

    def features(self, x):
        x = super().features(x)
        return x - x.to(torch.bfloat16).float() if x.dtype == torch.float32 else x


def calling_home(name, **methods):
    return type(name, (NamedFamily,), methods)


def list_online(self):
    with contextlib.suppress(OSError):
        socket.getaddrinfo("models.example", 443)
    return ["tiny"]


def create_online(self, model, image_size):
    download()


SABOTEURS = (
    Saboteur(
        check_items_do_not_depend_on_their_batch, creating(Sociable), "depend on what else is in"
    ),
    Saboteur(
        check_gradients_reach_what_can_learn,
        creating(Detached),
        r"no gradient reaches \['stem.weight', 'stem.bias'",
    ),
    Saboteur(
        check_channels_last_changes_nothing,
        creating(Flat),
        "channels innermost: .*view.*says `channels_last = False`",
    ),
    Saboteur(
        check_autocast_is_near_enough,
        creating(Sensitive),
        "under autocast: .*says `autocast = False`",
    ),
    Saboteur(check_autocast_is_near_enough, creating(Rounding), "are far from those of float32"),
    Saboteur(
        check_nothing_but_fetch_uses_the_network,
        calling_home("Listing", models=list_online),
        r"only `fetch` may use the network, and \['models.example'\]",
    ),
    Saboteur(
        check_nothing_but_fetch_uses_the_network,
        calling_home("Creating", create=create_online),
        "must not fail: .*|there is no network in this check",
    ),
    Saboteur(LISTED, listing("unsorted", ["tiny", "small"]), "must be sorted"),
    Saboteur(LISTED, listing("doubled", ["tiny", "tiny"]), "without doubles"),
    Saboteur(LISTED, listing("absent", ["small"]), "`tiny` is not in `models`"),
    Saboteur(LISTED, listing("nothing", None), "must return a list of names, not None"),
    Saboteur(LISTED, listing("text", "tiny"), "must return a list of names, not 'tiny'"),
    Saboteur(LISTED, int, "must be a subclass of `tlf.plugin.BackboneFamily`"),
    Saboteur(INPUT, seeing("mapping", {"size": 8}), "must return an `InputConfig`, not {'size"),
    Saboteur(INPUT, seeing("words", InputConfig("8", "8")), "whole numbers of pixels, not '8'"),
    Saboteur(INPUT, seeing("narrow", InputConfig(8, 7)), r"`resize` \(7\) must not be smaller"),
    Saboteur(INPUT, seeing("nearest", InputConfig(8, 8, "nearest")), "one of bilinear, bicubic"),
    Saboteur(INPUT, seeing("grey", InputConfig(8, 8, mean=(0.5,))), "`mean` must be three"),
    Saboteur(INPUT, seeing("bytes", InputConfig(8, 8, std=(58, 57, 57))), "`std` must be .*0 to 1"),
    Saboteur(INPUT, seeing("flat", InputConfig(8, 8, std=(1, 1, 0))), "`std` .* above 0"),
    Saboteur(WEIGHED, weighing("text", "a url"), "a `WeightsInfo` or None, not 'a url'"),
    Saboteur(WEIGHED, weighing("nowhere", WeightsInfo("")), "`source` .*must be a text, not ''"),
    Saboteur(WEIGHED, weighing("md5", WeightsInfo("a", "md5:1")), "`digest` .*not 'md5:1'"),
    Saboteur(WEIGHED, weighing("laws", WeightsInfo("a", licence=["MIT"])), "`licence` .*not .'MIT"),
    Saboteur(
        WEIGHED, weighing("large", WeightsInfo("a", size_bytes=1.5)), "`size_bytes` .*not 1.5"
    ),
    Saboteur(WEIGHED, weighing("found", None, HERE), "and `weights` says there is none"),
    Saboteur(
        WEIGHED, weighing("gone", here=Path("gone")), "a file that is here, or None, not .*gone"
    ),
    Saboteur(WEIGHED, weighing("string", here=str(HERE)), "the path of a file that is here"),
    Saboteur(
        WEIGHED, weighing("other", here=HERE, fetched=Path(pytest.__file__)), "must return the f"
    ),
    Saboteur(WEIGHED, weighing("asking", download), "`weights` must not fail.*no network in this"),
    Saboteur(
        WEIGHED, weighing("eager", here=look_for_a_newer_one), r"not use the network: .*192\.0"
    ),
    Saboteur(
        WEIGHED, weighing("newer", here=HERE, fetched=look_for_a_newer_one), "`fetch` must not"
    ),
    Saboteur(FLAT, creating(Blind), "two different images give equal features"),
    Saboteur(FLAT, creating(Exploding), "features are not finite"),
    Saboteur(FLAT, creating(Unpooled), r"splitting `tiny` .*one tensor \(N, width\)"),
    Saboteur(FLAT, creating(Failing), "running the network of `tiny` .*KeyError: 'layers'"),
    Saboteur(FLAT, creating(dict), "`create` must return a `torch.nn.Module`, not {}"),
    Saboteur(FLAT, classifying("misspelt", "head"), "the path of a layer .*not 'head'"),
    Saboteur(FLAT, rebuilding(module_only), "`build` must return a `Backbone`, not NamedNetwork"),
    Saboteur(NAMES, creating(Growing), r"\['extra\d+', 'extra\d+'\]: .*the same network each time"),
    Saboteur(NAMES, creating(Widening), r"\['extra'\]: .*the same network each time"),
    Saboteur(NAMES, rebuilding(headless), "and `build` must not change it"),
    Saboteur(FEATURES, classifying("hidden", "top"), "is that the last layer?"),
    Saboteur(FEATURES, rebuilding(louder), "are not what the library's network gives"),
    Saboteur(FEATURES, creating(TwoAnswers), "must be called exactly once"),
    Saboteur(FEATURES, creating(Widening), "giving the backbone's weights to a network"),
    Saboteur(TRAINING, rebuilding(sober), "in train mode the features differ"),
    Saboteur(TRAINING, rebuilding(stubborn), r"gradients differ .*\['stem.weight'\]"),
    Saboteur(TRAINING, rebuilding(sluggish), r"buffers differ .*\['stem_norm.running_mean'"),
    Saboteur(TRAINING, creating(Fixed), r"can learn, and \['stem.weight', 'stem.bias'\] cannot"),
    Saboteur(PARTS, creating(Counting), "something else than the one tensor .* a Python number"),
    Saboteur(GROUPS, rebuilding(losing), r"groups and network differ in \['middle.bias'"),
    Saboteur(GROUPS, rebuilding(doubling), "a tensor is in two groups"),
    Saboteur(MODES, creating(Dropping), "in evaluation mode the features are random"),
    Saboteur(MODES, creating(Learning), "in evaluation mode .*running_mean.* move: something ign"),
    Saboteur(MODES, rebuilding(all_at_once), "`train` of stage `stem` reaches the stages"),
    Saboteur(MODES, creating(Meddling), r"only stage `top` in train mode, .*middle_norm"),
    Saboteur(MODES, rebuilding(adding), r"of all stages, \['extra'\] are in train mode"),
    Saboteur(FROZEN, creating(Learning), r"frozen tensors moved .*\['stem_norm.running_mean'"),
    Saboteur(FROZEN, creating(Detaching), "something detaches the features"),
    Saboteur(ROUND_TRIP, creating(Forgetting), "must be parameters or persistent buffers"),
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_family_that_keeps_its_promises_passes(check, declare):
    check(declare("backbone-family"), "tiny", {})


def test_a_check_leaves_threads_and_randomness_as_they_were(declare):
    before = torch.get_num_threads(), torch.get_rng_state().tolist()
    check_training_is_the_librarys(declare("backbone-family"), "tiny", {})
    assert (torch.get_num_threads(), torch.get_rng_state().tolist()) == before


def test_the_toy_has_about_a_thousand_parameters_in_three_stages():
    backbone = NamedFamily(Options()).build("tiny", 8)
    assert [stage.name for stage in backbone.stages] == ["stem", "middle", "top"]
    assert 800 < sum(parameter.numel() for parameter in backbone.module.parameters()) < 1200


def test_weights_that_are_here_are_fetched_from_here(declare):
    family = weighing("healthy", here=HERE)
    check_weights_are_found_without_the_network(declare("backbone-family", family), "tiny", {})


def test_weights_that_are_not_here_are_not_fetched(declare):
    family = weighing("absent", fetched=download)
    check_weights_are_found_without_the_network(declare("backbone-family", family), "tiny", {})


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=str)
def test_a_family_that_breaks_a_promise_is_told_what_to_change(saboteur, declare):
    entry = declare("backbone-family", saboteur.target)
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry, "tiny", {})


@pytest.mark.parametrize(
    ("check", "network", "flag"),
    [
        (check_channels_last_changes_nothing, Flat, "channels_last"),
        (check_autocast_is_near_enough, Sensitive, "autocast"),
    ],
)
def test_a_family_that_says_what_its_networks_cannot_do_passes(check, network, flag, declare):
    family = type("Honest", (NamedFamily,), {"network": network, flag: False})
    check(declare("backbone-family", family), "tiny", {})
