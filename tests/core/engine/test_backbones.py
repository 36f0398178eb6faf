"""What backbones there are, and what one is made of."""

import re
from pathlib import Path

import pytest
import torchvision

from tlf.discovery import discover
from tlf.engine.backbones import (
    describe_backbone,
    find_backbone,
    fits_size,
    list_backbones,
    nearest_backbones,
)
from tlf.errors import PluginError, UsageError
from tlf.registry import Registry, load_registry

FAMILY = """
from tlf.plugin import BackboneFamily, InputConfig, WeightsInfo


class Family(BackboneFamily):
    def models(self):
        return ["small", "tiny"]

    def input_config(self, model, *, default_weights=True):
        return InputConfig(size=8, resize=8)

    def create(self, model, image_size):
        raise KeyError("no layers")

    def classifier(self, network):
        return "fc"
"""


@pytest.fixture
def torchvision_only():
    records = [record for record in load_registry().plugins if record.name == "torchvision"]
    return Registry(records)


@pytest.fixture
def with_acme(distribute, family):
    """The registry with a family of somebody else's, changed as a test needs it."""

    def install(more="", source=None):
        distribute("acme", FAMILY + more + family("acme") if source is None else source)
        return Registry(record for record in discover() if record.name in ("torchvision", "acme"))

    return install


def names(found):
    return [backbone.name for backbone in found.backbones]


def test_every_model_of_every_family_is_listed(with_acme):
    found = names(list_backbones(with_acme()))
    assert found[-2:] == ["acme/small", "acme/tiny"]
    assert found[:-2] == [
        f"torchvision/{name}"
        for name in sorted(torchvision.models.list_models(module=torchvision.models))
    ]


def test_the_weights_of_a_model_are_listed(with_acme):
    listed = {one.name: one.weights for one in list_backbones(with_acme()).backbones}
    assert listed["acme/tiny"] is None
    assert listed["torchvision/resnet18"].source.startswith("https://download.pytorch.org/")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("NET18", ["torchvision/resnet18"]),
        ("torchvision/mnas*5", ["torchvision/mnasnet0_5", "torchvision/mnasnet0_75"]),
        ("resnet1?", ["torchvision/resnet18"]),
        ("mnasnet[01]_[05]", ["torchvision/mnasnet0_5", "torchvision/mnasnet1_0"]),
        ("acme", ["acme/small", "acme/tiny"]),
        ("ACME/*", ["acme/small", "acme/tiny"]),
    ],
)
def test_a_pattern_is_a_part_or_a_shell_pattern(with_acme, pattern, found):
    assert names(list_backbones(with_acme(), pattern)) == found


def test_a_pattern_that_nothing_matches_is_an_error_with_the_nearest(torchvision_only):
    with pytest.raises(UsageError) as caught:
        list_backbones(torchvision_only, "mobilenetv2")
    assert caught.value.message == "no backbone matches `mobilenetv2`"
    assert caught.value.hint == "did you mean `torchvision/mobilenet_v2`?"
    with pytest.raises(UsageError) as caught:
        list_backbones(torchvision_only, "qqqqqq*")
    assert caught.value.hint == "`tlf backbones list` shows all there are"


def test_a_family_that_misbehaves_is_a_warning_and_the_others_are_listed(with_acme):
    found = list_backbones(with_acme("    weights = lambda self, model: model\n"))
    (warning,) = found.warnings
    assert warning.startswith("the backbones of `acme` are missing here: ")
    assert "`weights` of `small` returns a `str`" in warning
    assert "torchvision/resnet18" in names(found)
    assert "acme/tiny" not in names(found)


def test_a_plugin_that_is_broken_is_a_warning_too(with_acme):
    found = list_backbones(with_acme(source="raise ImportError('libacme.so')"))
    (warning,) = found.warnings
    assert re.search("^the plugin `acme` .* is broken: .*libacme.so; if it provides", warning)
    assert "torchvision/resnet18" in names(found)


def test_a_backbone_is_described_by_its_stages(torchvision_only):
    facts = describe_backbone(torchvision_only, "torchvision/mobilenet_v2")
    library = torchvision.models.mobilenet_v2()
    assert facts.parameters == sum(p.numel() for p in library.features.parameters())
    assert facts.output_width == library.classifier[1].in_features
    assert facts.image_size == facts.input_config.size == 224
    assert [stage.name for stage in facts.stages] == [f"features.{n}" for n in range(19)]
    assert facts.stages[-1].output_shape == (1280,)
    # torchvision counts multiply-adds, of the classifier too.
    weights = torchvision.models.MobileNet_V2_Weights.DEFAULT
    assert facts.flops / 2e9 == pytest.approx(weights.meta["_ops"], rel=0.02)
    assert facts.imbalances == ()


def test_a_split_that_lacks_something_says_what(torchvision_only):
    facts = describe_backbone(torchvision_only, "torchvision/alexnet")
    assert facts.imbalances == ("one tensor holds 66% of the parameters",)


def test_another_image_size_changes_the_work_and_not_the_parameters(torchvision_only):
    usual, small = (
        describe_backbone(torchvision_only, "torchvision/mobilenet_v2", size)
        for size in (None, 112)
    )
    assert small.image_size == 112
    assert small.parameters == usual.parameters
    assert 3 < usual.flops / small.flops < 5


def test_a_size_that_the_network_cannot_take_is_an_error_with_its_reason(torchvision_only):
    with pytest.raises(UsageError, match=r"`torchvision/alexnet` .* `16` pixels: ") as caught:
        describe_backbone(torchvision_only, "torchvision/alexnet", 16)
    assert caught.value.hint == "take 224, the size that its weights were trained with"


def test_whether_the_weights_are_here_is_told(torchvision_only, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = "torchvision/resnet18"
    facts = describe_backbone(torchvision_only, name)
    assert facts.local_weights is None
    path = tmp_path / "hub" / "checkpoints" / Path(facts.weights.source).name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    facts = describe_backbone(torchvision_only, name)
    assert facts.local_weights == path
    assert facts.as_json()["local_weights"] == str(path)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("torchvision/resnet19", "has no model `resnet19`", "`torchvision/resnet18`"),
        ("torchvision/ResNet-18", "has no model `ResNet-18`", "mean `torchvision/resnet18`?"),
        ("torchvison/resnet18", "no backbone is called `torchvison/resnet18`", "resnet18`?"),
        ("resnet18", "no backbone is called `resnet18`", "did you mean `torchvision/resnet18`?"),
        ("resnext", "no backbone is called `resnext`", "mean `torchvision/resnext101_32x8d`"),
        ("resnet", "no backbone is called `resnet`", "`tlf backbones list 'resnet'` lists"),
        ("torchvision", "`torchvision` is a family, and names no", "list 'torchvision/*'` lists"),
        ("torchvision/qqq", "has no model `qqq`", "list 'torchvision/*'` lists its models"),
    ],
)
def test_a_name_that_is_not_known_is_an_error_with_a_way_out(torchvision_only, name, message, hint):
    with pytest.raises(UsageError) as caught:
        find_backbone(torchvision_only, name)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_family_that_is_not_installed_is_a_missing_plugin(torchvision_only):
    with pytest.raises(PluginError, match="provides the backbone family `acme`") as caught:
        find_backbone(torchvision_only, "acme/tiny")
    assert caught.value.exit_code == 3


def test_a_network_that_cannot_be_built_is_the_plugins_fault(with_acme):
    with pytest.raises(PluginError, match=r"building `tiny` .* fails with KeyError: 'no layers'"):
        describe_backbone(with_acme(), "acme/tiny", 64)


@pytest.mark.parametrize("here", ["gone.pth", Path("gone.pth")])
def test_rubbish_as_the_place_of_weights_is_the_plugins_fault(torchvision_only, monkeypatch, here):
    monkeypatch.setattr(
        "tlf_builtin.torchvision.family.Torchvision.local_weights", lambda self, model: here
    )
    with pytest.raises(PluginError, match=r"`local_weights` of `resnet18` returns .*gone\.pth"):
        describe_backbone(torchvision_only, "torchvision/resnet18")


@pytest.mark.parametrize(
    ("model", "size", "fits"),
    [("resnet18", 64, True), ("alexnet", 16, False), ("vit_b_32", 64, False)],
)
def test_a_size_fits_if_the_network_takes_it_and_no_tensor_changes(
    torchvision_only, model, size, fits
):
    family, model = find_backbone(torchvision_only, f"torchvision/{model}")
    assert fits_size(family, model, size, usual=224) is fits


def test_a_near_name_may_be_parted_otherwise_or_lack_its_family():
    known = ["a/mobilenet_v2", "a/mobilenet_v3_large", "a/resnet18", "b/mobilenetv2"]
    assert nearest_backbones("mobilnetv2", known) == ["a/mobilenet_v2", "b/mobilenetv2"]
    assert nearest_backbones("a/resnet-18", known) == ["a/resnet18"]
    assert nearest_backbones("xyz", known) == []
