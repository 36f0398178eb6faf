"""The strategy `lora`: what it can be added to, what it refuses, and what is left of it."""

import copy
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import nn

import tlf
from tests.small import Dies
from tlf.engine.files import read_tensors
from tlf.errors import PluginError, RunInterrupted, SpecError
from tlf.registry import load_registry
from tlf_builtin.lora.options import LoraOptions

SAME = ("metrics.jsonl", "model.safetensors", "model.json", "predictions.jsonl")

# peft takes seconds to import, and `make test` does without it.
needs_peft = pytest.mark.skipif(find_spec("peft") is None, reason="needs `pip install 'tlf[lora]'`")


@pytest.fixture
def spec(small_spec):
    return {
        **small_spec,
        "backbone": "tlf/resnet20",
        "strategy": "lora",
        "training": {"epochs": 2, "batch_size": 8, "learning_rate": 0.01},
    }


def with_options(spec, **options):
    return {**copy.deepcopy(spec), "strategy": {"name": "lora", "options": options}}


def test_without_peft_it_is_said_what_to_install(spec, monkeypatch):
    monkeypatch.setattr("tlf.registry.entries._is_installed", lambda name: name != "peft")
    with pytest.raises(PluginError, match="the strategy `lora` needs `peft`") as caught:
        tlf.plan(spec)
    assert caught.value.hint == "pip install 'tlf[lora]'"


def test_its_options_are_checked_without_peft(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    assert load_registry().get("strategy", "lora").options({}) == LoraOptions()


@pytest.mark.slow
@needs_peft
def test_what_it_adds_is_a_product_of_the_rank_that_is_asked_for(spec):
    plan = tlf.plan(with_options(spec, rank=3))
    first = plan.stages[0]
    # 3 by 3 for each of 3 channels in, and 1 by 1 for each of 16 out.
    assert first["parameters"]["adapter"] == 3 * (27 + 16)
    (step,) = plan.steps
    assert all(group.endswith(":adapter") or "head" in group for group in step.trainable)


@pytest.mark.slow
@needs_peft
@pytest.mark.parametrize("options", [{}, {"alpha": 4.0, "dropout": 0.2, "rank": 4}], ids=str)
def test_a_run_ends_with_the_library_s_network_and_its_own_weights_are_the_merged_ones(
    spec, options
):
    run = tlf.run(with_options(spec, **options))
    tensors = read_tensors(run.directory / "model.safetensors")
    assert not [name for name in tensors if "lora" in name or "base_layer" in name]
    added = run.report["adapters"]
    assert added["options"]["rank"] == options.get("rank", 8)
    assert added["difference_merged"] < 1e-4
    assert len(added["modules"]) > 15


@pytest.mark.slow
@needs_peft
def test_a_run_that_died_goes_on_to_the_same_bytes(spec, tmp_path):
    spec = with_options(spec, dropout=0.2)
    spec["checkpoint"] = {"every_seconds": 1e-9}
    tlf.run(spec, output_directory=tmp_path / "whole")
    with pytest.raises(RunInterrupted):
        tlf.run(spec, output_directory=tmp_path / "died", listener=Dies(5))
    tlf.resume(tmp_path / "died")
    for name in SAME:
        assert (tmp_path / "died" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
@needs_peft
def test_stages_before_those_that_are_named_are_computed_once(spec):
    spec = with_options(spec, stages=["layer3.*"])
    spec["training"]["views"] = "none"
    run = tlf.run(spec)
    (step,) = run.report["steps"]
    assert step["cache"]["level"] == "features"
    assert all(path.startswith("layer3.") for path in run.report["adapters"]["modules"])


@pytest.mark.slow
@needs_peft
@pytest.mark.parametrize(
    ("options", "path", "words", "hint"),
    [
        ({"targets": ["convolutoin"]}, "targets[0]", "`convolutoin` is no layer", "`convolution`"),
        ({"targets": ["all", "layer1.0.conv9"]}, "targets[1]", "is no layer", "layer1.0.conv"),
        ({"targets": ["linear"]}, "targets[0]", "have no `linear` layers", "`convolution`"),
        ({"stages": ["layr1.0"]}, "stages[0]", "`layr1.0` is no stage", "`layer1.0`"),
        ({"rank": 0}, "rank", "at least 1", None),
        ({"rnak": 4}, "rnak", "is no known key", "`rank`"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_are_refused_with_what_is_near(spec, options, path, words, hint):
    with pytest.raises(SpecError) as caught:
        tlf.plan(with_options(spec, **options))
    (problem,) = caught.value.problems
    assert problem.path == f"strategy.options.{path}"
    assert words in problem.message
    assert hint is None or hint in str(problem.hint)


class Strange(nn.Module):
    """A layer of each kind that nothing can be added to, and one of each to which something can."""

    def __init__(self):
        super().__init__()
        self.plain = nn.Conv2d(3, 8, 3)
        self.grouped = nn.Conv2d(8, 8, 3, groups=4)
        self.wide = nn.Conv2d(8, 8, 3, dilation=2)
        self.mirrored = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.own = type("OwnConv", (nn.Conv2d,), {})(8, 8, 1)
        self.read = nn.Linear(8, 8)
        self.one = nn.Linear(8, 8)
        self.other = nn.Linear(8, 8)
        self.other.weight = self.one.weight
        self.last = nn.Linear(8, 8)

    def forward(self, x):
        x = self.own(self.mirrored(self.wide(self.grouped(self.plain(x))))).mean((2, 3))
        x = nn.functional.linear(x, self.read.weight)
        return self.last(self.other(self.one(x)))


@pytest.fixture
def strange():
    from tlf.plugin.stages import Backbone, split_network

    with torch.device("meta"):
        network = Strange()
    split = split_network(network, 32)
    return Backbone(network, split, 32, frozenset())


@pytest.mark.slow
@needs_peft
def test_layers_that_peft_cannot_merge_or_the_network_does_not_call_are_left_out(strange):
    from tlf_builtin.lora.layers import layers_in

    layers = layers_in(strange, {stage.name for stage in strange.stages})
    obstacles = {path: one.obstacle for path, one in layers.items()}
    assert [path for path, why in obstacles.items() if why is None] == ["plain", "last"]
    assert "groups" in obstacles["grouped"]
    assert "dilation" in obstacles["wide"]
    assert "padding" in obstacles["mirrored"]
    assert "OwnConv" in obstacles["own"]
    assert "never called" in obstacles["read"]
    assert "shares" in obstacles["one"]


@pytest.mark.slow
@needs_peft
def test_a_target_that_nothing_can_be_added_to_is_refused_with_the_reason(small_spec):
    spec = {**small_spec, "strategy": {"name": "lora", "options": {"targets": ["*.branch2.3"]}}}
    with pytest.raises(SpecError, match=r"nothing can be added .* is a convolution in groups"):
        tlf.plan(spec)


@pytest.mark.slow
@needs_peft
@pytest.mark.parametrize(
    "model",
    [
        "torchvision/mobilenet_v2",
        "torchvision/vit_b_16",
        "torchvision/swin_t",
        "timm/vit_tiny_patch16_224",
        "timm/convnext_atto",
        "timm/regnety_002",
        "timm/nf_regnet_b0",
    ],
)
def test_real_networks_are_outlined_with_it(small_spec, model):
    spec = {
        **small_spec,
        "backbone": {"name": model, "weights": "none"},
        "transforms": "standard",
        "strategy": "lora",
    }
    with_it = tlf.plan(spec)
    plain = tlf.plan({**spec, "strategy": "full-fine-tuning"})
    assert [one["name"] for one in with_it.stages] == [one["name"] for one in plain.stages]
    share = with_it.steps[0].trainable_parameters / plain.steps[0].trainable_parameters
    assert 0 < share < 0.2


@pytest.mark.slow
@needs_peft
def test_it_is_compared_probed_and_run_again(spec, tmp_path):
    compared = tlf.compare(spec, strategies=["lora", "feature-extraction"])
    assert {row.name for row in compared.rows} == {"lora", "feature-extraction"}
    run = tlf.run(spec, output_directory=tmp_path / "run")
    assert tlf.repro(run.directory).same
