"""The analysis of finished runs, as a whole."""

import json

import numpy as np
import pytest
from PIL import Image

import tlf
from tlf.engine.analysis import analyse
from tlf.errors import OutputError

PICTURES = ("thumbnail", "attribution")


def silent(folder):
    """Analyse a run of which nothing has to be said."""

    def refuse(message):
        raise AssertionError(message)

    return analyse(folder, warn=refuse)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def of_digits(digits):
    return silent(digits)


def test_it_is_written_beside_the_report_and_the_same_every_time(of_digits, digits):
    assert json.loads((digits / "analysis.json").read_text()) == of_digits
    again = silent(digits)
    assert again.pop("seconds").keys() == of_digits["seconds"].keys()
    assert again == {key: value for key, value in of_digits.items() if key != "seconds"}


def test_it_speaks_of_the_images_that_the_report_speaks_of(of_digits, digits):
    report = json.loads((digits / "report.json").read_text())
    assert of_digits["metrics_on"] == report["metrics_on"] == "test"
    assert of_digits["disagreements"] == 0
    assert of_digits["warnings"] == []
    count = report["images_measured"]
    assert len(of_digits["embedding"]["points"]) == count
    wrong = sum(
        label != predicted for _, _, label, predicted, _ in of_digits["embedding"]["points"]
    )
    assert wrong / count == pytest.approx(1 - report["metrics"]["accuracy"])
    assert report["data"]["test"]["images"] == count


def test_the_mistakes_are_those_that_the_network_was_surest_of(of_digits, digits):
    predictions = lines(digits / "predictions.jsonl")
    sure = {one["id"]: one["probabilities"][one["predicted"]] for one in predictions}
    wrong = [one["id"] for one in predictions if one["label"] != one["predicted"]]
    expected = sorted(wrong, key=lambda name: (-sure[name], name))[:24]
    shown = of_digits["mistakes"]
    assert [one["id"] for one in shown] == expected
    assert [one["probability"] for one in shown] == [sure[name] for name in expected]
    by_id = {one["id"]: one for one in predictions}
    for one in shown:
        assert one["label_probability"] == by_id[one["id"]]["probabilities"][one["label"]]
        assert one["thumbnail"].startswith("data:image/jpeg;base64,")
    drawn = [one["attribution"] is not None for one in shown]
    assert drawn == [True] * 6 + [False] * (len(shown) - 6)


def test_beside_them_are_right_ones_of_as_many_classes_as_there_is_room_for(of_digits):
    correct = of_digits["correct"]
    assert len({one["label"] for one in correct}) == len(correct) == 6
    assert all(one["label"] == one["predicted"] for one in correct)
    assert all(one["attribution"].startswith("data:image/png;base64,") for one in correct)
    assert all(0 < one["largest_change"] <= 1 for one in correct)


def test_the_temperature_is_chosen_on_validation_and_measured_on_test(of_digits, digits):
    report = json.loads((digits / "report.json").read_text())
    temperature = of_digits["temperature"]
    assert of_digits["temperature_why_not"] is None
    assert (temperature["chosen_on"], temperature["images"]) == ("validation", 100)
    assert temperature["measured_on"] == "test"
    assert temperature["before"]["loss"] == pytest.approx(report["metrics"]["loss"], abs=1e-9)
    error = "expected_calibration_error"
    before = report["classification"]["calibration"][error]
    assert temperature["before"][error] == pytest.approx(before, abs=1e-9)


def test_images_that_are_no_files_have_no_size(of_digits):
    for split in of_digits["data"].values():
        assert (split["width"], split["height"], split["modes"]) == (None, None, {})
    assert of_digits["data"]["train"]["classes"] == {str(digit): 3 for digit in range(10)}


def test_without_images_to_choose_on_there_is_no_temperature_but_a_reason(run):
    found = silent(run())
    assert found["temperature"] is None
    assert "test split" in found["temperature_why_not"]


def test_a_strategy_that_chooses_leaves_images_to_choose_a_temperature_on(run):
    strategy = {"name": "gradual-unfreezing", "options": {"advance": "on-plateau"}}
    folder = run(strategy=strategy, training={"epochs": 2, "batch_size": 8})
    held_out = json.loads((folder / "splits.json").read_text())["selection"]
    found = silent(folder)
    temperature = found["temperature"]
    assert (temperature["chosen_on"], temperature["images"]) == ("selection", len(held_out))
    assert found["data"]["selection"]["images"] == len(held_out)


def test_random_weights_have_moved_from_nowhere(run):
    found = silent(run())
    assert found["movement"] is None
    assert "random" in found["movement_why_not"]


def test_sizes_are_those_of_the_files(run, own_photographs):
    target = own_photographs / "val" / "red" / "00.png"
    Image.new("L", (300, 20)).save(target)
    found = silent(run())["data"]
    assert found["train"]["width"] == {"minimum": 48, "median": 48, "maximum": 48}
    assert found["validation"]["width"] == {"minimum": 48, "median": 48, "maximum": 300}
    assert found["validation"]["height"]["minimum"] == 20
    assert found["validation"]["modes"] == {"L": 1, "RGB": 9}
    assert found["validation"]["classes"] == {"blue": 5, "red": 5}


def test_what_was_left_out_is_listed_with_its_split(run, own_photographs, small_spec):
    (own_photographs / "train" / "red" / "00.png").write_bytes(b"no image")
    options = {"train": str(own_photographs / "train"), "validation": str(own_photographs / "val")}
    data = {"name": "image-folder", "options": options, "unreadable": "skip-and-report"}
    found = silent(run(data=data))["data"]
    (skipped,) = found["train"]["skipped"]
    assert skipped["id"] == "train/red/00.png"
    assert (found["validation"]["skipped"], found["train"]["images"]) == ([], 23)


def changed(folder):
    said = []
    found = analyse(folder, warn=said.append)
    assert found["warnings"] == said
    return found, said


def test_images_that_have_changed_or_vanished_are_named_and_not_shown(run, own_photographs):
    folder = run()
    red = own_photographs / "val" / "red"
    Image.fromarray(np.zeros((40, 48, 3), dtype=np.uint8)).save(red / "01.png")
    (red / "02.png").unlink()
    (red / "03.png").write_bytes(b"no image")
    found, (said,) = changed(folder)
    assert said.startswith("3 of 10 validation images are not what the run saw")
    lost = [f"val/red/0{number}.png" for number in (1, 2, 3)]
    assert all(f"`{name}`" in said for name in lost)
    assert found["disagreements"] == 0
    assert len(found["embedding"]["points"]) == 7
    for one in (*found["mistakes"], *found["correct"]):
        assert (one["thumbnail"] is None) == (one["id"] in lost)
    # The numbers of the run are still the run's.
    assert found["data"]["validation"]["images"] == 10


def test_without_any_image_what_the_run_wrote_down_is_left(run, own_photographs):
    folder = run()
    own_photographs.rename(own_photographs.with_name("elsewhere"))
    found, (said,) = changed(folder)
    assert "cannot be found again" in said
    assert found["disagreements"] is None
    assert (found["attribution"], found["embedding"]) == (None, None)
    assert found["attribution_why_not"]
    assert len(found["mistakes"]) + len(found["correct"]) > 0
    assert all(one[kind] is None for one in found["mistakes"] for kind in PICTURES)
    assert found["data"]["validation"]["width"] is None


def test_images_to_choose_on_that_have_changed_choose_no_temperature(run, own_photographs):
    strategy = {"name": "gradual-unfreezing", "options": {"advance": "on-plateau"}}
    folder = run(strategy=strategy, training={"epochs": 2, "batch_size": 8})
    name = json.loads((folder / "splits.json").read_text())["selection"][0]
    Image.new("RGB", (48, 40)).save(own_photographs / name)
    found = silent(folder)
    assert found["temperature"] is None
    assert "selection" in found["temperature_why_not"]


def test_predictions_that_are_not_the_runs_are_counted(run):
    folder = run()
    path = folder / "predictions.jsonl"
    predictions = lines(path)
    other = {"red": "blue", "blue": "red"}
    for one in predictions[:3]:
        one["predicted"] = other[one["predicted"]]
    path.write_text("".join(json.dumps(one) + "\n" for one in predictions))
    found, (said,) = changed(folder)
    assert found["disagreements"] == 3
    assert "another class for 3 of 10 images" in said


def test_images_are_found_from_anywhere(small_spec, own_photographs, tmp_path, monkeypatch):
    options = {"train": "photographs/train", "validation": "photographs/val"}
    data = {"name": "image-folder", "options": options}
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({**small_spec, "data": data, "training": {"epochs": 1}}))
    monkeypatch.chdir(tmp_path)
    folder = tlf.run("spec.json").directory.absolute()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    found = silent(folder)
    assert all(one["thumbnail"] for one in (*found["mistakes"], *found["correct"]))


@pytest.mark.parametrize("file", ["report.json", "predictions.jsonl", "plan.json", "model.json"])
def test_what_is_no_finished_run_is_refused(run, file):
    folder = run()
    (folder / file).unlink()
    with pytest.raises(OutputError, match=f"no finished run: `{file}` is not there"):
        silent(folder)


def test_a_damaged_run_is_refused(run):
    folder = run()
    (folder / "plan.json").write_text("{")
    with pytest.raises(OutputError, match="cannot be read"):
        silent(folder)


def test_a_run_of_an_earlier_version_is_refused_in_words(run):
    folder = run()
    report = json.loads((folder / "report.json").read_text())
    del report["classification"]
    (folder / "report.json").write_text(json.dumps(report))
    with pytest.raises(OutputError, match="earlier version") as caught:
        silent(folder)
    assert "again" in caught.value.hint
