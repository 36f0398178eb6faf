"""Real photographs and real ImageNet weights: what the README promises, on ants and bees."""

import json
from statistics import fmean

import pytest

import tlf
from tests.benchmarks.ants_bees import spec


@pytest.fixture(scope="module")
def ants_bees(real_data, tmp_path_factory):
    return spec(real_data, str(tmp_path_factory.mktemp("runs")))


def two_epochs(ants_bees, **changes):
    transforms = {"name": "standard", "options": {"size": 96}}
    return {**ants_bees, "transforms": transforms, "training": {"epochs": 2}, **changes}


def test_frozen_features_of_a_pretrained_network_tell_ants_from_bees_at_once(ants_bees):
    finished = tlf.run(two_epochs(ants_bees))
    assert finished.metrics["accuracy"] > 0.75
    assert finished.report["images"] == {"train": 244, "validation": 153}
    assert finished.report["steps"][0]["trainable_parameters"] == 2562


def test_random_features_do_not(ants_bees):
    backbone = {"name": "torchvision/mobilenet_v2", "weights": "none"}
    assert tlf.run(two_epochs(ants_bees, backbone=backbone)).metrics["accuracy"] < 0.7


def test_weights_of_the_twin_in_another_library_are_refused_with_names(ants_bees, real_data):
    other = real_data / "weights" / "timm_mobilenetv2_100.safetensors"
    backbone = {"name": "torchvision/mobilenet_v2", "weights": str(other)}
    with pytest.raises(tlf.TlfError, match="tensors are missing: `features"):
        tlf.run({**ants_bees, "backbone": backbone})


def test_one_channel_digits_become_what_the_network_expects(ants_bees, real_data):
    options = {name: str(real_data / "mnist_png" / split) for name, split in SPLITS.items()}
    found = tlf.plan({**ants_bees, "data": {"name": "image-folder", "options": options}})
    assert found.data["images"] == {"train": 6006, "validation": 1004}
    assert len(found.classes) == 10
    image = real_data / "mnist_png" / "val" / "0"
    finished = tlf.run(two_epochs(ants_bees))
    assert finished.predict([next(image.iterdir())])[0].label in {"ants", "bees"}


SPLITS = {"train": "train", "validation": "val"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "least"), [("feature-extraction", 0.95), ("full-fine-tuning", 0.94)]
)
def test_default_options_reach_what_the_readme_says(ants_bees, strategy, least):
    runs = [tlf.run({**ants_bees, "strategy": strategy, "seed": seed}) for seed in range(3)]
    assert fmean(run.metrics["accuracy"] for run in runs) >= least


@pytest.mark.slow
def test_predictions_of_every_validation_image_are_those_of_the_run(ants_bees, real_data):
    finished = tlf.run(two_epochs(ants_bees))
    lines = (finished.directory / "predictions.jsonl").read_text().splitlines()
    written = [json.loads(line) for line in lines]
    images = [real_data / "hymenoptera" / line["id"] for line in written]
    found = tlf.load(finished.directory).predict(images)
    assert [p.probabilities for p in found] == [line["probabilities"] for line in written]
