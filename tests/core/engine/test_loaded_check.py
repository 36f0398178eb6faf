"""Before the first step of a run, what is known of its images anyway is looked at."""

import shutil

import pytest

import tlf
from tlf.engine.data_check import check_data
from tlf.errors import DataError


class Hears(tlf.Listener):
    def __init__(self):
        self.warnings = []
        self.batches = 0

    def warning(self, message):
        self.warnings.append(message)

    def batch_finished(self, epoch, images, loss):
        self.batches += 1


@pytest.fixture
def own(small_spec, photographs, tmp_path):
    """The small spec on a copy of the photographs, which a test may change; and their folder."""
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    options = {"train": str(folder / "train"), "validation": str(folder / "val")}
    spec = {**small_spec, "data": {"name": "image-folder", "options": options}}
    spec["training"] = {**spec["training"], "epochs": 1}
    return spec, folder


def run(spec, **data):
    hears = Hears()
    tlf.run({**spec, "data": {**spec["data"], **data}}, listener=hears)
    return hears.warnings


def leak(folder):
    shutil.copy(folder / "train" / "red" / "03.png", folder / "val" / "red" / "again.png")


def test_a_run_on_clean_data_warns_of_nothing(own):
    assert run(own[0]) == []


def test_a_leak_stops_a_run_before_its_first_step_and_leaves_nothing_behind(own, tmp_path):
    spec, folder = own
    leak(folder)
    hears = Hears()
    with pytest.raises(DataError) as caught:
        tlf.run(spec, listener=hears)
    assert caught.value.exit_code == 2
    assert "1 image is in more than one split" in caught.value.message
    assert "`train/red/03.png` (train) = `val/red/again.png` (validation)" in caught.value.message
    assert "`data.leaks`" in caught.value.hint
    assert "`tlf data check`" in caught.value.hint
    assert hears.batches == 0
    assert list((tmp_path / "runs").glob("*")) == []


def test_many_leaks_are_counted(own):
    spec, folder = own
    for index in range(8):
        shutil.copy(
            folder / "train" / "red" / f"{index:02d}.png", folder / "val" / "red" / f"x{index}.png"
        )
    with pytest.raises(DataError, match="8 images are in more than one split") as caught:
        tlf.run(spec)
    assert caught.value.message.count("=") == 5
    assert "and 3 more" in caught.value.message


def test_a_leak_that_is_allowed_is_a_warning_in_one_line(own):
    spec, folder = own
    leak(folder)
    [warning] = run(spec, leaks="warn")
    assert warning.startswith("1 image is in more than one split")
    assert "\n" not in warning


def test_a_leak_into_the_images_that_are_held_out_to_choose_on_is_one(own):
    spec, folder = own
    for index in range(12):
        shutil.copy(
            folder / "train" / "red" / f"{index:02d}.png",
            folder / "train" / "red" / f"x{index}.png",
        )
    run(spec)
    with pytest.raises(DataError, match=r"\(train\) = .* \(selection\)"):
        run({**spec, "strategy": "robust"})
    found = check_data({**spec, "strategy": "robust"})
    assert list(found.counts) == ["train", "validation", "selection"]
    assert [one.kind for one in found.errors] == ["leak"]


def test_one_image_with_two_labels_is_a_warning(own):
    spec, folder = own
    shutil.copy(folder / "train" / "red" / "03.png", folder / "train" / "blue" / "again.png")
    [warning] = run(spec)
    assert warning.startswith("1 image has two labels or more")


def test_a_small_class_among_others_is_a_warning(own):
    spec, folder = own
    for index in range(5):
        (folder / "train" / "red" / f"{index:02d}.png").unlink()
    [warning] = run(spec)
    assert warning.startswith("1 class has fewer than 10 images to train on")


def test_few_images_of_every_class_were_somebodys_choice(own):
    spec, _ = own
    spec["data"]["options"]["shots"] = 4
    [about_shots] = run(spec)
    assert "`shots` takes 4 of each class" in about_shots
    assert "few-images" in [one.kind for one in check_data(spec).findings]


def test_copies_in_one_split_are_left_to_the_check(own):
    spec, folder = own
    shutil.copy(folder / "train" / "red" / "03.png", folder / "train" / "red" / "again.png")
    assert run(spec) == []
    assert [one.kind for one in check_data(spec).findings] == ["duplicates"]


def test_images_whose_features_are_known_already_are_checked_all_the_same(own):
    spec, folder = own
    run(spec)
    leak(folder)
    with pytest.raises(DataError, match="more than one split"):
        run(spec)
