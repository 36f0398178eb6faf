"""Plugins that return rubbish: each is named, with what it did wrong, and nothing is tlf's own bug."""

import copy
import json
from pathlib import Path

import pytest
import torch

import tlf
from tlf.engine.parts import fitted_device, make_device, make_family, pinned_device
from tlf.errors import DataError, PluginError
from tlf.plugin import (
    Dataset,
    Device,
    InputConfig,
    Item,
    Options,
    Train,
    Transform,
)
from tlf.registry import load_registry
from tlf.spec import PartSpec
from tlf_builtin.cpu.device import Cpu
from tlf_builtin.feature_extraction.strategy import FeatureExtraction
from tlf_builtin.image_folder.source import ImageFolder
from tlf_builtin.standard.transform import Standard
from tlf_builtin.torchvision.family import Torchvision

TARGETS = {
    "image-folder": ("tlf_builtin.image_folder.source.ImageFolder", ImageFolder),
    "cpu": ("tlf_builtin.cpu.device.Cpu", Cpu),
    "feature-extraction": (
        "tlf_builtin.feature_extraction.strategy.FeatureExtraction",
        FeatureExtraction,
    ),
    "standard": ("tlf_builtin.standard.transform.Standard", Standard),
    "torchvision": ("tlf_builtin.torchvision.family.Torchvision", Torchvision),
}


def returning(value):
    return lambda self, *_, **__: value


def failing(self, *_, **__):
    raise KeyError("mine")


def item(**changes):
    return Item(**{"id": "a", "label": 0, "read": bytes, **changes})


def dataset(train=None, **changes):
    splits = {"train": train or [item()], "validation": [item(id="b", label=1)]}
    return Dataset(**{"classes": ("x", "y"), "splits": splits, **changes})


class Bare(Device):
    """Sets nothing that a device must have."""

    def autocast(self): ...

    def synchronize(self): ...

    def peak_memory_bytes(self): ...


class Odd(Bare):
    torch_device = torch.device("cpu")
    channels_last = False
    reason = "odd"

    def __init__(self, precision="float32", chunk_size=1):
        self.precision = precision
        self.chunk_size = chunk_size


def square(**changes):
    return {"__init__": lambda s, o, c: (Standard.__init__(s, o, c), vars(s).update(changes))[0]}


RUBBISH = [
    ("image-folder", {"open": returning(None)}, "`open` returns `None`, no `Dataset`"),
    ("image-folder", {"open": failing}, "`open` fails with KeyError: 'mine'"),
    ("image-folder", {"open": returning(dataset(splits={}))}, "no images for the split `train`"),
    ("image-folder", {"open": returning(dataset(splits=None))}, "the `splits` .* are `None`"),
    ("image-folder", {"open": returning(dataset(splits={"train": None}))}, "`train` .* is `None`"),
    ("image-folder", {"open": returning(dataset([3]))}, "`train` holds a `int`, no `Item`"),
    ("image-folder", {"open": returning(dataset([item(id=3)]))}, "has the id `3`"),
    ("image-folder", {"open": returning(dataset([item(read=b"")]))}, "a `bytes` as `read` of `a`"),
    ("image-folder", {"open": returning(dataset([item(label=9)]))}, "`a` has the label `9`"),
    ("image-folder", {"open": returning(dataset(classes=None))}, "the `classes` .* are `None`"),
    ("image-folder", {"open": returning(dataset(notes=None))}, "the `notes` .* are `None`"),
    ("cpu", {"is_available": returning(None)}, "`is_available` returns `None`"),
    ("cpu", {"is_available": failing}, "`is_available` fails with KeyError: 'mine'"),
    ("cpu", {"create": returning(None)}, "`create` returns `None`, no `Device`"),
    ("cpu", {"create": failing}, "`create` fails with KeyError: 'mine'"),
    ("cpu", {"create": returning(Bare())}, "the `torch_device` of its device is `None`"),
    ("cpu", {"create": returning(Odd(precision="int4"))}, "the precision `int4`"),
    ("cpu", {"create": returning(Odd(chunk_size=0))}, "the chunk size `0`"),
    ("feature-extraction", {"steps": returning(None)}, "`steps` returns `None`, not a list"),
    ("feature-extraction", {"steps": failing}, "`steps` fails with KeyError: 'mine'"),
    (
        "feature-extraction",
        {"steps": returning([3])},
        "step 1 is a int, neither a Train nor a Solve",
    ),
    (
        "feature-extraction",
        {"steps": returning([Train(name="a", trainable=None, epochs=2)])},
        "step 1 trains `None`, which is no tuple of names",
    ),
    (
        "feature-extraction",
        {"steps": returning([Train(name=3, trainable=("head",), epochs=2)])},
        "step 1 is called `3`, which is no text",
    ),
    ("standard", {"__init__": failing}, "creating it fails with KeyError: 'mine'"),
    ("standard", square(size="32"), "its `size` is `'32'`"),
    ("standard", square(mean=(0.5, 0.5)), r"its `mean` is `\(0.5, 0.5\)`"),
    ("standard", square(std=(1.0, 0.0, 1.0)), "its `std` is .* not three finite numbers above 0"),
    ("standard", {"describe": returning(None)}, "`describe` fails with TypeError"),
    ("standard", {"describe": returning({"a": {1}})}, "`describe` fails with TypeError"),
    ("torchvision", {"models": returning(None)}, "`models` returns `None`"),
    ("torchvision", {"models": failing}, "`models` fails with KeyError"),
    ("torchvision", {"input_config": returning(None)}, "returns `None`, no `InputConfig`"),
    ("torchvision", {"input_config": failing}, "`input_config` of .* fails with KeyError"),
    (
        "torchvision",
        {"input_config": returning(InputConfig(size=None))},
        "`input_config` of `shufflenet_v2_x0_5`: its `size` is `None`",
    ),
    ("torchvision", {"classifier": returning("fd")}, "building .* fails with AttributeError"),
    ("torchvision", {"classifier": returning(3)}, "building .* fails with AttributeError"),
    ("torchvision", {"build": returning(None)}, "gives `None`, no `Backbone`"),
]


@pytest.fixture
def plan_with(small_spec, monkeypatch):
    """Plan the small spec with methods of a plugin's class replaced."""

    def plan_with(name, changes, **spec):
        target, original = TARGETS[name]
        monkeypatch.setattr(target, type("Rubbish", (original,), dict(changes)))
        return tlf.plan({**copy.deepcopy(small_spec), **spec})

    return plan_with


@pytest.mark.parametrize(("name", "changes", "words"), RUBBISH)
def test_a_plugin_that_returns_rubbish_is_named_with_what_it_did(plan_with, name, changes, words):
    with pytest.raises(PluginError, match=words) as caught:
        plan_with(name, changes)
    assert f"`{name}` of the plugin `{name}` (tlf " in caught.value.message
    assert caught.value.exit_code == 3
    assert caught.value.hint


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_that_is_no_class_of_its_kind_is_the_plugins_fault(small_spec, monkeypatch, name):
    monkeypatch.setattr(TARGETS[name][0], Path)
    with pytest.raises(PluginError, match=f"`{name}` .* is no subclass of `tlf.plugin"):
        tlf.plan(small_spec)


def test_rubbish_as_the_source_of_weights_is_the_plugins_fault(plan_with):
    with pytest.raises(PluginError, match="`weights` of `resnet18` returns a `str`"):
        plan_with("torchvision", {"weights": returning("x")}, backbone="torchvision/resnet18")


def test_an_error_for_the_user_stays_as_the_plugin_raised_it(plan_with):
    def refuse(self):
        raise DataError("no such table")

    with pytest.raises(DataError, match=r"^no such table$"):
        plan_with("image-folder", {"open": refuse})


def test_a_wrong_classifier_is_the_plugins_fault_at_any_image_size(plan_with):
    transforms = {"name": "standard", "options": {"size": 64}}
    with pytest.raises(PluginError, match="fails with AttributeError"):
        plan_with("torchvision", {"classifier": returning("fd")}, transforms=transforms)


def test_the_precision_is_pinned_only_for_a_device_that_has_the_option(monkeypatch):
    registry = load_registry()
    device = Odd(precision="bfloat16")
    part = PartSpec(name="cpu", options={"threads": 1})
    assert pinned_device(registry, part, device).options == {"threads": 1, "precision": "bfloat16"}
    monkeypatch.setattr("tlf_builtin.cpu.options.CpuOptions", Options)
    assert pinned_device(registry, part, device) == part


def test_a_precision_that_the_option_does_not_take_is_not_pinned():
    part = PartSpec(name="cpu", options={})
    assert pinned_device(load_registry(), part, Odd(precision="float16")) == part


def test_what_a_transform_describes_is_in_the_plan(plan_with):
    found = plan_with("standard", {"describe": returning({"resize": 36})})
    assert found.transforms["options"] == {"resize": 36}


def test_a_transform_describes_its_options_as_given_by_default():
    class Least(Transform):
        def load(self, image): ...

    class LeastOptions(Options):
        share: float = 0.5

    assert Least(LeastOptions(), InputConfig()).describe() == {"share": 0.5}


def test_a_strategy_that_yields_its_steps_is_told_to_return_a_list(plan_with):
    def steps(self, outline, budget):
        yield Train(name="a", trainable=("head",), epochs=budget.epochs)

    with pytest.raises(PluginError, match="returns a `generator`, not a list of steps"):
        plan_with("feature-extraction", {"steps": steps})


def test_a_family_that_says_what_its_networks_cannot_do_gets_neither(small_spec, monkeypatch):
    monkeypatch.setattr(Torchvision, "autocast", False)
    monkeypatch.setattr(Torchvision, "channels_last", False)
    options = {"precision": "bfloat16"}
    run = tlf.run({**small_spec, "device": {"name": "cpu", "options": options}})
    plan = json.loads((run.directory / "plan.json").read_text())
    assert plan["device"]["precision"] == "float32"
    assert plan["device"]["channels_last"] is False
    assert plan["device"]["reason"].endswith(", as far as `torchvision` networks allow it")
    # It is predicted with what was trained with.
    options = json.loads((run.directory / "model.json").read_text())["device"]["options"]
    assert options["precision"] == "float32"
    (image, *_) = Path(small_spec["data"]["options"]["validation"]).rglob("*.png")
    assert run.predict([image])[0].label in ("red", "blue")


def test_a_family_that_can_do_everything_gets_the_device_as_it_is(small_spec):
    registry = load_registry()
    family = make_family(registry, "torchvision", {})
    device = make_device(registry, PartSpec(name="cpu"), pytest.fail)
    assert fitted_device(device, family) is device


def test_a_fitted_device_computes_in_float32_and_asks_the_device_for_the_rest(monkeypatch):
    monkeypatch.setattr(Torchvision, "autocast", False)
    registry = load_registry()
    family = make_family(registry, "torchvision", {})
    part = PartSpec(name="cpu", options={"precision": "bfloat16", "deterministic": True})
    device = make_device(registry, part, pytest.fail)
    fitted = fitted_device(device, family)
    assert fitted.deterministic
    layer = torch.nn.Linear(2, 2)
    with fitted.autocast():
        assert layer(torch.ones(1, 2)).dtype == torch.float32
    with device.autocast():
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    fitted.synchronize()
    assert fitted.peak_memory_bytes() > 0
    assert fitted.channels_last == device.channels_last
    assert fitted.chunk_size == device.chunk_size
