"""The data source `torchvision`, on small files in the formats that torchvision's classes read."""

import json
from typing import get_args

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from tlf.errors import DataError
from tlf_builtin.torchvision_data.example import write_mnist
from tlf_builtin.torchvision_data.known import KNOWN
from tlf_builtin.torchvision_data.options import Name, TorchvisionOptions
from tlf_builtin.torchvision_data.source import TorchvisionData


def opened(folder, dataset, **options):
    return TorchvisionData(
        TorchvisionOptions(dataset=dataset, root="data", **options), folder
    ).open()


def sizes(dataset):
    return {split: len(items) for split, items in dataset.splits.items()}


def picture(path, number=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20 + number, 16), (number, 50, 90)).save(path)


def test_every_data_set_that_can_be_named_is_one_of_torchvision():
    assert list(KNOWN) == sorted(KNOWN) == list(get_args(Name))
    for name, known in KNOWN.items():
        assert getattr(torchvision.datasets, known.class_name).__name__.lower() == name
        assert "train" in known.splits


def test_of_train_and_test_validation_is_held_out_of_train_by_seed(tmp_path):
    write_mnist(tmp_path / "data", {"train": 100, "t10k": 20})
    dataset = opened(tmp_path, "mnist", validation_share=0.3)
    assert sizes(dataset) == {"train": 70, "validation": 30, "test": 20}
    assert dataset.classes[:2] == ("0 - zero", "1 - one")
    assert dataset.notes == ("held out of train, of each class: 30% for validation",)
    validation = dataset.splits["validation"]
    assert np.bincount([item.label for item in validation]).tolist() == [3] * 10
    again, other = (
        opened(tmp_path, "mnist", validation_share=0.3, split_seed=seed) for seed in (0, 1)
    )
    ids = [item.id for item in validation]
    assert [item.id for item in again.splits["validation"]] == ids
    assert [item.id for item in other.splits["validation"]] != ids


def test_pixels_are_those_of_the_files(tmp_path):
    write_mnist(tmp_path / "data", {"train": 50, "t10k": 20})
    test = opened(tmp_path, "mnist").splits["test"]
    assert test[7].id == "test/000007"
    pixels = test[7].read()
    assert pixels.shape == (28, 28)
    assert (pixels[14] == 255).all()
    assert test[7].path is None


def test_a_data_set_of_three_splits_keeps_them_and_gives_its_files(tmp_path):
    root = tmp_path / "data" / "dtd" / "dtd"
    for split, first in (("train", 0), ("val", 2), ("test", 4)):
        names = [
            f"{name}/{name}_{n}.jpg" for name in ("dotted", "woven") for n in (first, first + 1)
        ]
        for number, name in enumerate(names):
            picture(root / "images" / name, 10 * first + number)
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{split}1.txt").write_text("\n".join(names) + "\n")
    dataset = opened(tmp_path, "dtd")
    assert sizes(dataset) == {"train": 4, "validation": 4, "test": 4}
    assert dataset.classes == ("dotted", "woven")
    item = dataset.splits["test"][3]
    assert (item.id, item.label) == ("dtd/dtd/images/woven/woven_5.jpg", 1)
    assert item.read() == item.path.read_bytes()
    with pytest.raises(DataError, match="`validation_share` draws a split that `dtd` has itself"):
        opened(tmp_path, "dtd", validation_share=0.1)


def test_a_data_set_without_splits_is_split_by_shares(tmp_path):
    for name in ("Forest", "River"):
        for number in range(10):
            picture(tmp_path / "data" / "eurosat" / "2750" / name / f"{name}_{number}.jpg", number)
    dataset = opened(tmp_path, "eurosat", test_share=0.3)
    assert sizes(dataset) == {"train": 10, "validation": 4, "test": 6}
    assert list(dataset.splits) == ["train", "validation", "test"]
    assert dataset.notes == (
        "held out of `eurosat`, of each class: 20% for validation and 30% for test",
    )


def test_pairs_of_file_and_label_are_found_too(tmp_path):
    root = tmp_path / "data" / "food-101"
    for split, numbers in (("train", range(5)), ("test", range(5, 8))):
        names = {name: [f"{name}/{n}" for n in numbers] for name in ("pizza", "ramen")}
        (root / "meta").mkdir(parents=True, exist_ok=True)
        (root / "meta" / f"{split}.json").write_text(json.dumps(names))
        for number, path in enumerate(path for paths in names.values() for path in paths):
            picture(root / "images" / f"{path}.jpg", number)
    dataset = opened(tmp_path, "food101")
    assert sizes(dataset) == {"train": 8, "validation": 2, "test": 6}
    assert dataset.splits["test"][0].id == "food-101/images/pizza/5.jpg"


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_not_there_is_said_with_a_way_to_get_it(tmp_path, name):
    for there in (False, True):
        if there:
            (tmp_path / "data").mkdir()
        with pytest.raises(DataError, match=rf"^`{name}` is not in `.*data`") as caught:
            opened(tmp_path, name)
        assert "`data.options.download` to `true`" in caught.value.hint


def test_it_is_downloaded_only_when_that_is_asked_for(tmp_path, monkeypatch):
    asked = []

    class Mnist:
        classes = ("a", "b")
        targets = (0, 0, 1, 1)

        def __init__(self, root, *, train, download):
            asked.append(download)

        def __len__(self):
            return 4

    monkeypatch.setattr(torchvision.datasets, "MNIST", Mnist)
    opened(tmp_path, "mnist", download=True)
    assert asked == [True, True]
    assert (tmp_path / "data").is_dir()
    opened(tmp_path, "mnist")
    assert asked == [True, True, False, False]


def test_a_download_that_fails_is_a_matter_of_the_data(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fail)
    with pytest.raises(DataError, match=r"`mnist` cannot be downloaded .*no route to host"):
        opened(tmp_path, "mnist", download=True)


def test_shares_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="leave nothing to train on"):
        TorchvisionOptions(dataset="eurosat", root="x", validation_share=0.5, test_share=0.5)
