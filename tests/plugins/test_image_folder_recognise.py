"""What the data source `image-folder` makes of a folder that nobody has described."""

import pytest

from tlf.errors import DataError
from tlf_builtin.image_folder.options import ImageFolderOptions
from tlf_builtin.image_folder.source import ImageFolder


@pytest.fixture
def make(tmp_path):
    """Return a function that writes two images into each of the folders named."""

    def write(*folders):
        for folder in folders:
            place = tmp_path / "photos" / folder
            place.mkdir(parents=True, exist_ok=True)
            for index in range(2):
                (place / f"{index}.jpg").write_bytes(b"an image")
        return tmp_path / "photos"

    return write


def splits(*names, below=""):
    return [f"{below}{split}/{name}" for split in names for name in ("ant", "bee")]


def recognised(folder):
    """Return the options without the folder's path, and check that they open."""
    options = ImageFolder.recognise(folder)
    dataset = ImageFolder(ImageFolderOptions(**options), folder).open()
    assert dataset.splits["train"]
    return {key: value.removeprefix(str(folder)) for key, value in options.items()}, dataset


def refused(folder):
    with pytest.raises(DataError) as caught:
        ImageFolder.recognise(folder)
    return caught.value


def test_folders_of_images_are_classes(make):
    assert recognised(make("ant", "bee"))[0] == {"folder": ""}


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("validation", ["val", "valid", "Validation", "dev"])
def test_folders_called_like_splits_are_splits(make, train, validation):
    found, dataset = recognised(make(*splits(train, validation)))
    assert found == {"train": f"/{train}", "validation": f"/{validation}"}
    assert dataset.notes == ()


@pytest.mark.parametrize("test", ["test", "Testing"])
def test_a_test_split_is_named_too(make, test):
    found, _ = recognised(make(*splits("train", "val", test)))
    assert found == {"train": "/train", "validation": "/val", "test": f"/{test}"}


def test_a_test_split_without_a_validation_split_takes_its_place_and_a_note_says_so(make):
    found, dataset = recognised(make(*splits("train", "test")))
    assert found == {"train": "/train", "validation": "/test"}
    (note,) = dataset.notes
    assert "test` is what is reported: it is evaluated after every epoch" in note


def test_train_alone_is_split_and_a_note_says_so(make):
    found, dataset = recognised(make(*splits("train")))
    assert found == {"folder": "/train"}
    (note,) = dataset.notes
    assert note.endswith("train`, 20% of each class is held out to validate on")


def test_a_class_may_be_called_train(make):
    assert recognised(make("bus", "car", "train"))[0] == {"folder": ""}


def test_folders_beside_the_splits_are_not_taken(make):
    found, _ = recognised(make(*splits("train", "val"), "unlabelled"))
    assert found == {"train": "/train", "validation": "/val"}


def test_the_only_folder_inside_is_looked_into(make):
    folder = make(*splits("train", "val", below="dataset/"))
    (folder / "docs").mkdir()
    (folder / "docs" / "readme.txt").write_text("x")
    assert recognised(folder)[0] == {"train": "/dataset/train", "validation": "/dataset/val"}


def test_the_only_folder_inside_may_hold_classes(make):
    assert recognised(make("dataset/ant", "dataset/bee"))[0] == {"folder": "/dataset"}


def test_paths_begin_as_they_were_given(make, monkeypatch):
    monkeypatch.chdir(make(*splits("train", "val")).parent)
    from pathlib import Path

    assert ImageFolder.recognise(Path("photos/")) == {
        "train": "photos/train",
        "validation": "photos/val",
    }


def test_a_folder_without_images_is_not_recognised(make, tmp_path):
    assert ImageFolder.recognise(tmp_path) is None
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("x")
    assert ImageFolder.recognise(tmp_path) is None


def test_a_single_class_is_recognised_and_opening_it_says_what_is_missing(make):
    folder = make("ant")
    options = ImageFolder.recognise(folder)
    with pytest.raises(DataError, match="one class only, `ant`"):
        ImageFolder(ImageFolderOptions(**options), folder).open()


def test_loose_images_are_refused_with_an_example_of_where_to_put_them(make):
    folder = make(".")
    error = refused(folder)
    assert error.message == (
        f"2 images lie in `{folder}` itself, such as `0.jpg`, and no folder says its class"
    )
    assert f"`{folder / 'ants' / '0.jpg'}`" in error.hint


def test_two_folders_for_one_split_are_refused(make):
    error = refused(make(*splits("train", "val", "dev")))
    assert "several folders for the split `validation`: `dev`, `val`" in error.message
    assert error.hint


def test_splits_without_one_to_train_on_are_refused(make):
    error = refused(make(*splits("val", "test")))
    assert "holds `test`, `val`, and nothing to train on" in error.message


def test_several_data_sets_are_refused_with_the_first_as_a_way_out(make):
    folder = make(*splits("train", "val", below="a/"), *splits("train", "val", below="b/"))
    error = refused(folder)
    assert "split each by itself, such as `a/train`" in error.message
    assert error.hint == f"name one of them: `{folder / 'a'}`"


def test_classes_that_are_split_each_by_itself_are_refused_with_a_way_out(make):
    folder = make("ant/train", "ant/val", "bee/train", "bee/val")
    assert refused(folder).hint == f"put the classes into the splits: `{folder / 'train' / 'ant'}`"
