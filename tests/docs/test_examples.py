"""The specs in examples are valid, and do what their pages say."""

import json
import shutil
from pathlib import Path

import pytest

import tlf
from tlf.registry import check, load_registry
from tlf.spec import load_raw

EXAMPLES = Path(__file__).parents[2] / "examples"


def written(name):
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*/*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_spec_of_an_example_is_valid_and_its_page_names_it(path):
    check(load_raw(path), load_registry())
    assert path.name in (path.parent / "README.md").read_text(encoding="utf-8")


def test_the_digits_are_learned_from_the_weights_in_the_wheel(tmp_path):
    finished = tlf.run(
        EXAMPLES / "digits" / "spec.json",
        overrides=["training.epochs=4", "data.options.shots=10", f"output={tmp_path}"],
    )
    assert finished.report["images"]["train"] == 100
    assert finished.metrics["accuracy"] > 0.8


def test_resnet_50_is_planned_with_one_number_for_all_channels(photographs, tmp_path):
    spec = written("resnet50-digits/spec.json")
    for split, folder in (("train", "train"), ("validation", "val")):
        spec["data"]["options"][split] = str(photographs / folder)
    spec["data"]["options"]["shots"] = 3
    plan = tlf.plan(spec)
    assert plan.data["images"]["train"] == 6
    assert plan.transforms["mean"] == plan.transforms["std"] == (0.5, 0.5, 0.5)
    assert [step.trainable_parameters for step in plan.steps] == [2048 * 2 + 2]


@pytest.mark.slow
def test_the_pretraining_can_be_done_again_and_its_artifact_is_a_weights_file(real_data, tmp_path):
    shutil.copy(EXAMPLES / "digits" / "pretrain.json", tmp_path)
    (tmp_path / "mnist_png").symlink_to(real_data / "mnist_png")
    again = tlf.run(tmp_path / "pretrain.json", overrides=["training.epochs=3"])
    # A fifth of the epochs of the weights in the wheel, which reach 0.99.
    assert again.metrics["accuracy"] > 0.95
    finished = tlf.run(
        EXAMPLES / "digits" / "spec.json",
        overrides=[
            "training.epochs=10",
            f"backbone.weights={again.directory / 'model.safetensors'}",
            f"output={tmp_path}",
        ],
    )
    assert finished.metrics["accuracy"] > 0.7


@pytest.mark.slow
def test_the_weights_in_the_wheel_know_the_digits_that_they_were_not_trained_on(
    real_data, tmp_path
):
    folders = {"train": "mnist_png/train", "validation": "mnist_png/val"}
    spec = {
        **written("digits/pretrain.json"),
        "data": {
            "name": "image-folder",
            "options": {split: str(real_data / path) for split, path in folders.items()},
        },
        "backbone": "tlf/resnet20",
        "strategy": "feature-extraction",
        "training": {"epochs": 2, "batch_size": 64},
        "output": str(tmp_path),
    }
    assert tlf.run(spec).metrics["accuracy"] > 0.98
