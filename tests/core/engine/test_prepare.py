"""Planning: everything is resolved and nothing is downloaded, decoded or trained."""

import copy
import json

import pytest
import torch

import tlf
from tlf.errors import PluginError, SpecError, WeightsError
from tlf.plugin import Strategy, Train


@pytest.fixture
def plan(small_spec):
    def plan(**changes):
        return tlf.plan({**copy.deepcopy(small_spec), **changes})

    return plan


def test_a_plan_has_nothing_left_open(plan, photographs):
    found = plan(training={"epochs": 3, "batch_size": 10})
    assert (found.epochs, found.batches_per_epoch) == (3, 3)
    assert found.data["images"] == {"train": 24, "validation": 10}
    assert found.classes == ("blue", "red")
    assert found.transforms["size"] == 32
    assert found.device["precision"] == "float32"
    assert found.device["threads"] == torch.get_num_threads()
    assert json.loads(json.dumps(found.as_json()))["weights"] == "none"


def test_a_plan_reads_no_image_and_needs_no_weights(plan, photographs, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("an image was opened, or weights were fetched")

    monkeypatch.setattr("PIL.Image.open", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    found = plan(backbone="torchvision/resnet50")
    assert found.weights == "default"


def test_a_large_network_is_planned_without_memory_for_its_weights(plan):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = plan(backbone={"name": "torchvision/regnet_y_128gf", "weights": "none"})
    # Its weights would take 2.5 GB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000
    assert sum(sum(stage["parameters"].values()) for stage in found.stages) > 600e6


def test_every_parameter_is_trainable_or_frozen_in_every_step(plan):
    for strategy in ("feature-extraction", "full-fine-tuning"):
        found = plan(strategy=strategy)
        total = sum(sum(stage["parameters"].values()) for stage in found.stages)
        for step in found.steps:
            assert step.trainable_parameters + step.frozen_parameters == total


def test_a_model_that_is_not_there_names_the_nearest(plan):
    with pytest.raises(SpecError) as caught:
        plan(backbone="torchvision/resnet19")
    (problem,) = caught.value.problems
    assert problem.path == "backbone.name"
    assert problem.hint == "did you mean `resnet18`?"


def test_a_weights_file_that_is_not_there_is_found_before_anything_else(plan):
    with pytest.raises(WeightsError, match="does not exist"):
        plan(backbone={"name": "torchvision/resnet18", "weights": "nowhere.safetensors"})


def test_a_relative_weights_file_starts_at_the_specs_folder(small_spec, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"")
    spec = {**small_spec, "backbone": {"name": "torchvision/resnet18", "weights": "w.safetensors"}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert tlf.plan(tmp_path / "spec.json").weights == str(tmp_path / "w.safetensors")


def test_a_strategy_that_breaks_the_rules_is_a_fault_of_its_plugin(plan, monkeypatch):
    class Greedy(Strategy):
        def steps(self, outline, budget):
            return (Train(name="s", trainable=("head",), epochs=budget.epochs + 1),)

    target = "tlf_builtin.feature_extraction.strategy.FeatureExtraction"
    monkeypatch.setattr(target, Greedy)
    with pytest.raises(PluginError, match="take 3 epochs, the budget is 2"):
        plan()


def test_a_strategy_that_raises_is_a_fault_of_its_plugin(plan, monkeypatch):
    class Confused(Strategy):
        def steps(self, outline, budget):
            return {}["no such key"]

    target = "tlf_builtin.feature_extraction.strategy.FeatureExtraction"
    monkeypatch.setattr(target, Confused)
    with pytest.raises(PluginError, match="`steps` fails with KeyError: 'no such key'"):
        plan()


def without(plan, *names):
    """Return a plan without some of what it says of each step's cache, as it is in a file."""
    plan = json.loads(json.dumps(plan))
    for step in plan["steps"]:
        for name in names or list(step["cache"]):
            del step["cache"][name]
    return plan


def test_the_plan_of_a_run_is_the_plan_that_was_shown(small_spec):
    """But for what is kept, which a run decides by what it measures, and a plan by what it assumes."""
    shown = tlf.plan(small_spec).as_json()
    finished = tlf.run(small_spec)
    written = json.loads((finished.directory / "plan.json").read_text())
    assert without(written) == without(shown)
    for one, other in zip(written["steps"], shown["steps"], strict=True):
        assert one["cache"].keys() == other["cache"].keys()


def test_what_is_planned_to_be_kept_is_what_is_kept_where_nothing_is_measured(small_spec):
    spec = {**small_spec, "cache": {"mode": "off"}}
    shown = tlf.plan(spec).as_json()
    written = json.loads((tlf.run(spec).directory / "plan.json").read_text())
    predicted = ("seconds", "seconds_without")
    assert without(written, *predicted) == without(shown, *predicted)
    assert {step["cache"]["level"] for step in shown["steps"]} == {"none"}


@pytest.mark.parametrize(
    ("backbone", "size", "words"),
    [
        ("vit_b_16", 100, "Input shape indivisible by patch size!"),
        ("alexnet", 32, "Output size is too small"),
        pytest.param(
            "maxvit_t", 100, "is not divisible by partition size 7", marks=pytest.mark.slow
        ),
    ],
)
def test_a_size_that_the_network_cannot_take_is_a_problem_of_the_size(plan, backbone, size, words):
    with pytest.raises(SpecError) as caught:
        plan(
            backbone={"name": f"torchvision/{backbone}", "weights": "none"},
            transforms={"name": "standard", "options": {"size": size}},
        )
    (problem,) = caught.value.problems
    assert problem.path == "transforms.options.size"
    assert f"`torchvision/{backbone}` cannot take images of `{size}` pixels: " in problem.message
    assert words in problem.message
    assert "\n" not in problem.message
    assert problem.hint == "take 224, the size that its weights were trained with"


def test_a_plan_says_where_the_librarys_own_weights_are_from(plan):
    found = plan(backbone="torchvision/resnet18")
    assert found.weights == "default"
    source = found.backbone["default_weights"]
    assert source["source"].endswith(f"-{source['digest']}.pth")
    assert "default_weights" not in plan().backbone


def test_a_plan_says_how_many_threads_decode(plan):
    assert plan().training["workers"] >= 1
    assert plan(training={"epochs": 1, "workers": 0}).training["workers"] == 0


def test_weights_at_a_path_that_cannot_be_are_a_problem_of_the_spec(plan):
    for weights in ("~nosuchuser/w.pth", "a\0b.pth", f"{'x' * 300}.pth"):
        with pytest.raises(SpecError) as caught:
            plan(backbone={"name": "torchvision/resnet18", "weights": weights})
        assert caught.value.problems[0].path == "backbone.weights"


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ({"name": "cuda", "options": {"index": 1000}}, "`auto` takes the best device"),
        ({"name": "auto", "options": {"precision": "float16"}}, "take another precision"),
    ],
)
def test_a_device_that_cannot_be_used_is_a_problem_with_the_reason_and_a_way_out(
    plan, monkeypatch, device, words
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(SpecError) as caught:
        plan(device=device)
    (problem,) = caught.value.problems
    assert problem.path == "device.name"
    assert f"`{device['name']}` cannot be used here: " in problem.message
    assert "CUDA" in problem.message
    assert words in problem.hint
