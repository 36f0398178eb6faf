"""Real photographs and real ImageNet weights: what the README promises, on ants and bees."""

import json
from statistics import fmean

import numpy as np
import pytest
import torch
from PIL import Image

import tlf
from tests.benchmarks.ants_bees import spec
from tests.benchmarks.comparing import digits
from tlf.engine.finished import load_network


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


def test_the_suggestion_for_photographs_leaves_everything_at_its_default(real_data):
    found = tlf.suggest(real_data / "hymenoptera")
    assert found.spec["name"] == "hymenoptera"
    assert found.spec.keys() == {"name", "data", "backbone", "strategy"}


def test_the_suggestion_for_digits_is_small_and_never_mirrors(real_data):
    found = tlf.suggest(real_data / "mnist_png")
    assert found.spec["transforms"]["options"] == {"size": 64, "flip": 0}
    seen = next(reason.why for reason in found.reasons if reason.about == "images")
    assert seen == "headers of 2,000 of 7,010, evenly spread: 28×28 pixels, all grey"


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


def in_full_precision(ants_bees, real_data, family, model, file, **training):
    """The spec with everything said that the two libraries do not say alike."""
    options = {"size": 224, "resize": 256, "interpolation": "bilinear"}
    return {
        **ants_bees,
        "name": family,
        "backbone": {"name": f"{family}/{model}", "weights": str(real_data / "weights" / file)},
        "transforms": {"name": "standard", "options": options},
        "training": {"epochs": 2, "views": "none", **training},
        "device": {"name": "cpu", "options": {"precision": "float32"}},
    }


TWINS = (
    ("torchvision", "mobilenet_v2", "torchvision_mobilenet_v2.safetensors"),
    ("timm", "mobilenetv2_100", "timm_mobilenetv2_100.safetensors"),
)


@pytest.mark.slow
def test_a_network_of_timm_ends_up_where_its_twin_of_torchvision_does(ants_bees, real_data):
    """The same tensors under other names, in other code: logits within 1e-4 after training."""
    logits, labels = [], []
    for family, model, file in TWINS:
        finished = tlf.run(in_full_precision(ants_bees, real_data, family, model, file))
        lines = (finished.directory / "predictions.jsonl").read_text().splitlines()
        written = [json.loads(line) for line in lines]
        labels.append([line["predicted"] for line in written])
        images = [real_data / "hymenoptera" / line["id"] for line in written]
        logits.append(logits_of(finished.directory, images))
    assert labels[0] == labels[1]
    assert (logits[0] - logits[1]).abs().max() < 1e-4


def logits_of(folder, images):
    """What the network of a run says before the softmax."""
    network = load_network(folder, pytest.fail)
    logits = []
    for start in range(0, len(images), 9):
        loaded = [network.transform.load(Image.open(path)) for path in images[start : start + 9]]
        logits.append(network.run(network.inputs(network.views(loaded)))[1])
    return torch.cat(logits)


@pytest.mark.slow
def test_gradual_unfreezing_reaches_what_the_readme_says(ants_bees):
    runs = [
        tlf.run({**ants_bees, "strategy": "gradual-unfreezing", "seed": seed}) for seed in range(3)
    ]
    assert fmean(run.metrics["accuracy"] for run in runs) >= 0.94
    names = ["head", "thaw-1", "thaw-2", "thaw-3"]
    assert [step["name"] for step in runs[0].report["steps"]] == names


@pytest.mark.slow
def test_fine_tuning_is_far_better_than_fixed_features_on_digits(real_data, tmp_path):
    """A long way from photographs: the classic article's experiment."""
    spec = {**digits(real_data), "output": str(tmp_path)}
    fixed, tuned = (
        tlf.run({**spec, "strategy": name}).metrics["accuracy"]
        for name in ("feature-extraction", "full-fine-tuning")
    )
    assert tuned > fixed + 0.03
    assert tuned > 0.9


def test_the_classic_example_is_planned_without_its_weights(real_data, tmp_path):
    spec = {**digits(real_data), "output": str(tmp_path)}
    plan = tlf.plan({**spec, "backbone": "torchvision/resnet50"})
    assert plan.data["images"] == {"train": 1000, "validation": 1004}
    assert (plan.transforms["size"], plan.transforms["mean"]) == (64, (0.5, 0.5, 0.5))
    assert plan.backbone["default_weights"]["digest"] == "11ad3fa6"


def write_pairs(mnist, folder, counts, seed=0):
    """Write pictures of two digits beside each other, and a table: each is of one class or two."""
    generator = np.random.default_rng(seed)
    files = {
        (source, digit): sorted((mnist / source / str(digit)).glob("*.png"))
        for source in ("train", "val")
        for digit in range(10)
    }
    rows = ["path,labels,split"]
    for split, (source, count) in counts.items():
        for number in range(count):
            digits = generator.integers(0, 10, 2).tolist()
            canvas = generator.integers(0, 20, (56, 56), dtype=np.uint8)
            for place, digit in enumerate(digits):
                there = files[source, digit]
                # What is trained on is never validated on.
                half = len(there) // 2
                start = half if split == "validation" else 0
                with Image.open(there[start + int(generator.integers(half))]) as image:
                    top, left = int(generator.integers(0, 29)), 28 * place
                    part = canvas[top : top + 28, left : left + 28]
                    np.maximum(part, np.asarray(image.convert("L")), out=part)
            path = f"{split}-{number:03d}.png"
            Image.fromarray(canvas).save(folder / path)
            rows.append(f"{path},{';'.join(map(str, sorted(set(digits))))},{split}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def test_both_digits_of_a_picture_are_named_much_better_than_by_chance(real_data, tmp_path):
    counts = {"train": ("train", 240), "validation": ("train", 80), "test": ("val", 80)}
    write_pairs(real_data / "mnist_png", tmp_path, counts)
    finished = tlf.run(
        {
            "data": {"name": "csv", "options": {"file": str(tmp_path / "labels.csv")}},
            "backbone": {"name": "tlf/resnet20"},
            "transforms": {"name": "plain", "options": {"size": 56}},
            "strategy": "probe",
            "training": {"views": "none"},
            "output": str(tmp_path / "runs"),
        }
    )
    # By chance, the mean average precision is the share of the pictures that show a digit: a fifth.
    assert finished.metrics["mean-average-precision"] > 0.9
    assert finished.metrics["subset-accuracy"] > 0.5
    low, _ = finished.report["mean_average_precision_interval"]
    assert low > 0.8
