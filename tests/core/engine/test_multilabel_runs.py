"""Runs on images of any number of classes, from a table to predictions, pages and the same again."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import tlf
from tests.small import Dies
from tlf.engine.analysis import SEVERAL_CLASSES, analyse
from tlf.errors import SpecError

CHANNELS = {"red": 0, "green": 1, "blue": 2}
SAME = ("metrics.jsonl", "model.safetensors", "model.json", "predictions.jsonl")


def write_patches(folder, counts, seed=0):
    """Write dark pictures with a patch of each colour that they are labelled with, and their table."""
    generator = np.random.default_rng(seed)
    rows = [("path", "labels", "split", "group")]
    for split, count in counts.items():
        for number in range(count):
            pixels = generator.integers(0, 60, (32, 32, 3), dtype=np.uint8)
            shown = [name for name in CHANNELS if generator.random() < 0.45]
            for place, name in enumerate(shown):
                left = 10 * place + int(generator.integers(0, 3))
                pixels[8:24, left : left + 9, CHANNELS[name]] += 180
            path = f"{split}-{number:02d}.png"
            Image.fromarray(pixels).save(folder / path)
            rows.append((path, ";".join(shown), split, f"{split} {number // 2}"))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    write_patches(folder, {"train": 48, "val": 24, "test": 24})
    return folder


@pytest.fixture(scope="module")
def small(patches, tmp_path_factory):
    """Return a spec of these, changed as a test needs it."""
    output = str(tmp_path_factory.mktemp("runs"))

    def make(**sections):
        return {
            "name": "patches",
            "data": {"name": "csv", "options": {"file": str(patches / "labels.csv")}},
            "backbone": {"name": "tlf/resnet20"},
            "transforms": {"name": "plain", "options": {"size": 32}},
            "strategy": "probe",
            "training": {"epochs": 1, "batch_size": 16, "views": "none"},
            "device": {"name": "cpu", "options": {"precision": "float32"}},
            "output": output,
            **sections,
        }

    return make


@pytest.fixture(scope="module")
def probed(small):
    return tlf.run(small())


def lines(run, name):
    return [json.loads(line) for line in (run.directory / name).read_text().splitlines()]


def test_a_solved_head_names_several_classes_much_better_than_chance(probed):
    metrics = probed.metrics
    assert tuple(metrics) == (
        "mean-average-precision",
        "macro-f1",
        "micro-f1",
        "subset-accuracy",
        "loss",
    )
    # Chance is the share of the images that show a class, less than one half.
    assert metrics["mean-average-precision"] > 0.8
    low, high = probed.report["mean_average_precision_interval"]
    assert 0.5 < low <= metrics["mean-average-precision"] <= high <= 1
    assert probed.report["accuracy_interval"] is None
    assert probed.report["steps"][0]["mean_average_precision"] > 0.8


def test_thresholds_are_chosen_on_validation_images_and_travel_with_the_network(probed):
    classification = probed.report["classification"]
    assert classification["thresholds_chosen_on"] == "validation"
    model = json.loads((probed.directory / "model.json").read_text())
    assert model["task"] == "multi-label"
    assert model["thresholds"] == [one["threshold"] for one in classification["per_class"]]
    assert model["thresholds"] != [0.5] * 3


def test_the_report_and_the_predictions_say_the_same(probed):
    found = lines(probed, "predictions.jsonl")
    exact = [one["label"] == one["predicted"] for one in found]
    assert np.mean(exact) == pytest.approx(probed.metrics["subset-accuracy"])
    for one in probed.report["classification"]["per_class"]:
        shown = [one["class"] in line["label"] for line in found]
        named = [one["class"] in line["predicted"] for line in found]
        assert one["images"] == sum(shown)
        both = sum(a and b for a, b in zip(shown, named, strict=True))
        assert one["recall"] == pytest.approx(both / sum(shown))
        for line, is_named in zip(found, named, strict=True):
            assert (line["probabilities"][one["class"]] >= one["threshold"]) == is_named


def test_the_network_of_a_run_names_every_class_above_its_threshold(probed, patches):
    predictor = tlf.load(probed.directory)
    assert predictor.task == "multi-label"
    for line in lines(probed, "predictions.jsonl")[:6]:
        (found,) = predictor.predict([patches / line["id"]])
        assert sorted(found.labels) == sorted(line["predicted"])
        assert found.label == max(found.probabilities, key=found.probabilities.get)
        for name, value in line["probabilities"].items():
            assert found.probabilities[name] == pytest.approx(value, abs=1e-5)


def test_a_page_shows_each_class_with_its_threshold_and_no_confusion(probed, with_pages):
    analysis = analyse(probed.directory)
    assert analysis["disagreements"] == 0
    assert analysis["mistakes"] == []
    assert analysis["temperature_why_not"] == SEVERAL_CLASSES
    page = tlf.write_report(probed.directory).read_text()
    assert "Average precision" in page
    assert "thresholds chosen on validation images" in page
    assert "by bootstrap over images" in page
    for absent in ("Confusion matrix", "Calibration", "mistake", "Micro f1", "Not analysed"):
        assert absent not in page


def test_neighbours_are_stored_with_all_of_their_classes(small, patches):
    finished = tlf.run(small(strategy="knn", name="neighbours"))
    assert finished.metrics["mean-average-precision"] > 0.7
    line = lines(finished, "predictions.jsonl")[0]
    (found,) = finished.predict([patches / line["id"]])
    assert sorted(found.labels) == sorted(line["predicted"])


@pytest.fixture(scope="module")
def trained():
    return {
        "name": "trained",
        "strategy": "full-fine-tuning",
        "training": {"epochs": 2, "batch_size": 16, "views": "none", "keep": "best"},
        "checkpoint": {"every_seconds": 1e-9},
    }


@pytest.mark.slow
def test_a_network_that_is_trained_goes_on_to_the_same_bytes_when_it_was_killed(small, trained):
    whole = tlf.run(small(**trained))
    records = lines(whole, "metrics.jsonl")
    assert records[-1]["train"]["loss"] < records[0]["train"]["loss"] < 1
    assert set(records[0]["selection"]) == {"mean-average-precision", "loss"}
    with pytest.raises(tlf.TlfError):
        tlf.run(small(**trained), listener=Dies(4))
    broken = whole.directory.with_name("trained-2")
    again = tlf.resume(broken)
    assert again.report["resumed"] == 1
    for name in SAME:
        assert (again.directory / name).read_bytes() == (whole.directory / name).read_bytes()


def test_without_a_test_split_groups_are_held_out_whole_and_thresholds_chosen_there(
    small, tmp_path
):
    write_patches(tmp_path, {"train": 40, "val": 16}, seed=1)
    data = {"name": "csv", "options": {"file": str(tmp_path / "labels.csv")}}
    training = {"epochs": 1, "batch_size": 16, "views": "none", "keep": "best"}
    finished = tlf.run(small(data=data, strategy="feature-extraction", training=training))
    assert finished.report["classification"]["thresholds_chosen_on"] == "selection"
    splits = json.loads((finished.directory / "splits.json").read_text())
    groups = [
        {int(one.removesuffix(".png").split("-")[1]) // 2 for one in splits[name]}
        for name in ("train", "selection")
    ]
    assert groups[0].isdisjoint(groups[1])
    assert len(groups[1]) >= 3


def test_where_there_is_nothing_to_choose_on_every_threshold_is_a_half(small, tmp_path):
    write_patches(tmp_path, {"train": 40, "val": 16}, seed=1)
    data = {"name": "csv", "options": {"file": str(tmp_path / "labels.csv")}}
    finished = tlf.run(small(data=data))
    classification = finished.report["classification"]
    assert classification["thresholds_chosen_on"] is None
    assert {one["threshold"] for one in classification["per_class"]} == {0.5}


def test_a_metric_of_the_other_task_is_a_mistake_in_the_spec(small):
    with pytest.raises(SpecError) as caught:
        tlf.plan(small(evaluation={"metrics": ["accuracy"]}))
    (problem,) = caught.value.problems
    assert problem.message == "`accuracy` does not fit the data, which are multi-label"
    assert problem.hint == "did you mean `subset-accuracy`?"


@pytest.mark.slow
def test_strategies_are_compared_by_subset_accuracy_and_it_is_said(small):
    found = tlf.compare(small(), strategies=["probe", "knn"], seeds=1)
    for row in found.rows:
        assert row.accuracy == row.metrics["subset-accuracy"]
        assert "mean-average-precision" in row.metrics
    assert any("ranked and tested by subset accuracy" in note for note in found.notes)


@pytest.mark.slow
def test_a_run_is_the_same_again(probed):
    found = tlf.repro(probed.directory)
    assert found.same
