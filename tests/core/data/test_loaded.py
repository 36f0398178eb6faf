"""A data set is read once, and what cannot be read is dealt with before anything is trained."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from tlf.data import Skipped, load_dataset
from tlf.data.decode import decode, digest
from tlf.errors import DataError, PluginError
from tlf.plugin import Dataset

LARGE = 2**30


def _load(dataset, transform, **changes):
    settings = {"unreadable": "error", "workers": 2, "memory_bytes": LARGE} | changes
    return load_dataset(dataset, transform, **settings)


def test_every_image_is_decoded_once_and_kept(make_dataset, transform):
    dataset = make_dataset(test=4)
    loaded = _load(dataset, transform)
    items = [item for split in dataset.splits.values() for item in split]
    for split in loaded.splits.values():
        split.load(range(len(split)))
    assert loaded.images_decoded == len(items) == 22
    assert all(item.read.reads == 1 for item in items)


def test_images_labels_and_digests_are_those_of_the_items(make_dataset, transform):
    dataset = make_dataset()
    split = _load(dataset, transform).splits["train"]
    assert split.items == tuple(dataset.splits["train"])
    assert split.labels.tolist() == [index % 3 for index in range(12)]
    assert split.labels.dtype == torch.int64
    assert split.digests[5] == digest(dataset.splits["train"][5].read())
    found = split.load([5, 0, 5])
    wanted = [transform.load(decode(split.items[index].read())) for index in (5, 0, 5)]
    assert found.dtype == torch.uint8
    assert found.equal(torch.stack(wanted))


@pytest.mark.parametrize("workers", [0, 1, 4, None])
@pytest.mark.parametrize("memory_bytes", [0, 192 * 5, LARGE])
def test_neither_threads_nor_memory_change_what_is_loaded(
    make_dataset, transform, workers, memory_bytes
):
    reference = _load(make_dataset(), transform, workers=0)
    loaded = _load(make_dataset(), transform, workers=workers, memory_bytes=memory_bytes)
    for name, split in loaded.splits.items():
        other = reference.splits[name]
        assert split.digests == other.digests
        assert split.load(range(len(split))).equal(other.load(range(len(other))))


def test_what_does_not_fit_into_memory_is_decoded_again(make_dataset, transform):
    # An image is 3 x 8 x 8 bytes: five of the twelve fit.
    loaded = _load(make_dataset(), transform, memory_bytes=192 * 5 + 100)
    assert loaded.images_decoded == 18
    loaded.splits["train"].load(range(12))
    assert loaded.images_decoded == 18 + 7
    loaded.splits["train"].load([0, 4])
    assert loaded.images_decoded == 18 + 7


@pytest.mark.parametrize("content", [b"spoilt", b"", OSError(2, "No such file or directory")])
def test_a_file_that_changes_during_the_run_is_an_error(make_dataset, transform, content):
    dataset = make_dataset()
    loaded = _load(dataset, transform, memory_bytes=0)
    dataset.splits["train"][3].read.content = content
    with pytest.raises(DataError, match=r"`train/03.png` has changed since the run began"):
        loaded.splits["train"].load([3])


def test_another_image_in_its_place_is_an_error(make_dataset, transform):
    dataset = make_dataset()
    loaded = _load(dataset, transform, memory_bytes=0)
    dataset.splits["train"][3].read.content = dataset.splits["train"][4].read()
    with pytest.raises(DataError, match=r"`train/03.png` has changed"):
        loaded.splits["train"].load([3])


def test_all_unreadable_files_are_named_with_reason_and_hint(make_dataset, transform):
    spoilt = {
        "train/01.png": b"",
        "train/07.png": b"no image",
        "validation/02.png": OSError(13, "Permission denied"),
    }
    with pytest.raises(DataError) as caught:
        _load(make_dataset(spoilt=spoilt), transform)
    assert str(caught.value).splitlines() == [
        "3 of 18 images cannot be read",
        "  `train/01.png` (train): the file is empty",
        "  `train/07.png` (train): no image in a format that is known",
        "  `validation/02.png` (validation): permission denied",
    ]
    assert "`skip-and-report`" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (KeyError("checksum"), "the data source raises KeyError: 'checksum'"),
        (ValueError("Wrong\n  length."), "the data source raises ValueError: wrong length"),
        (AssertionError(), "the data source raises AssertionError"),
        (ValueError("caf\udce9"), r"the data source raises ValueError: caf\udce9"),
        (ConnectionError("Connection lost."), "connection lost"),
        (OSError(), "OSError"),
        (None, "a NoneType, neither bytes nor an array"),
        ("path/of/a/file.png", "a str, neither bytes nor an array"),
    ],
)
def test_whatever_reading_an_item_raises_or_returns_it_is_an_unreadable_image(
    make_dataset, transform, content, reason
):
    dataset = make_dataset(spoilt={"train/01.png": content})
    loaded = _load(dataset, transform, unreadable="skip-and-report")
    assert loaded.skipped == (Skipped("train", "train/01.png", reason),)


def test_an_item_too_large_for_the_memory_is_not_left_out(make_dataset, transform):
    dataset = make_dataset(spoilt={"train/01.png": MemoryError()})
    with pytest.raises(MemoryError):
        _load(dataset, transform, unreadable="skip-and-report")


def test_bytes_of_any_kind_are_read_and_have_the_digest_of_the_file(make_dataset, transform):
    usual = _load(make_dataset(), transform).splits["train"]
    content = usual.items[0].read()
    backward = memoryview(content[::-1])[::-1]
    for same in (bytearray(content), memoryview(content), backward):
        found = _load(make_dataset(spoilt={"train/00.png": same}), transform).splits["train"]
        assert found.digests == usual.digests


def test_of_many_unreadable_files_twenty_are_named_and_the_rest_counted(make_dataset, transform):
    spoilt = {f"train/{index:02d}.png": b"" for index in range(25)}
    with pytest.raises(DataError) as caught:
        _load(make_dataset(train=40, spoilt=spoilt), transform)
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  and 5 more"


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_unreadable_files_can_be_left_out_and_are_listed(make_dataset, transform, workers):
    spoilt = {"train/01.png": b"", "validation/02.png": b"no image"}
    loaded = _load(
        make_dataset(spoilt=spoilt), transform, unreadable="skip-and-report", workers=workers
    )
    assert loaded.skipped == (
        Skipped("train", "train/01.png", "the file is empty"),
        Skipped("validation", "validation/02.png", "no image in a format that is known"),
    )
    train = loaded.splits["train"]
    assert [item.id for item in train.items[:2]] == ["train/00.png", "train/02.png"]
    assert len(train) == len(train.labels) == len(train.digests) == 11
    assert train.labels[:2].tolist() == [0, 2]
    assert loaded.images_decoded == 16


def test_a_class_with_nothing_left_to_train_on_is_an_error(make_dataset, transform):
    spoilt = {f"train/{index:02d}.png": b"" for index in range(1, 12, 3)}
    with pytest.raises(DataError, match="no image to train on is left of `b`"):
        _load(make_dataset(spoilt=spoilt), transform, unreadable="skip-and-report")


def test_a_split_with_nothing_left_is_an_error(make_dataset, transform):
    spoilt = {f"validation/{index:02d}.png": b"" for index in range(6)}
    with pytest.raises(DataError, match="`validation` has no image that can be read"):
        _load(make_dataset(spoilt=spoilt), transform, unreadable="skip-and-report")


def test_progress_is_told_of_every_image_in_the_calling_thread(make_dataset, transform):
    heard = []

    def progress(done, total):
        heard.append((done, total, threading.current_thread()))

    _load(make_dataset(), transform, progress=progress)
    assert heard == [(done, 18, threading.main_thread()) for done in range(1, 19)]


def test_ctrl_c_ends_the_reading_at_once(make_dataset, transform):
    dataset = make_dataset(train=400)

    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _load(dataset, transform, progress=interrupt)
    # Three were asked for, and two threads work on at most four images each in advance.
    assert sum(item.read.reads for item in dataset.splits["train"]) <= 3 + 2 * 4 + 1


def test_the_number_of_threads_of_torch_is_left_as_it_was(make_dataset, transform):
    before = torch.get_num_threads()
    _load(make_dataset(), transform, workers=4)
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert torch.get_num_threads() == before
    assert found == [before]


def _renamed(dataset, identity):
    first, *others = dataset.splits["train"]
    splits = {**dataset.splits, "train": [replace(first, id=identity), *others]}
    return Dataset(dataset.classes, splits)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda d: Dataset(("a",), d.splits), "its classes are"),
        (lambda d: Dataset(("a", "a", "b"), d.splits), "its classes are"),
        (lambda d: Dataset(d.classes, {"train": d.splits["train"]}), "split `validation`"),
        (lambda d: Dataset(("a", "b"), d.splits), "`train/02.png` has the label `2`"),
        (
            lambda d: Dataset(d.classes, {**d.splits, "test": d.splits["validation"]}),
            "the id `validation/00.png` is given to 2 images",
        ),
        (lambda d: _renamed(d, 7), "the id `7` is no text"),
        (lambda d: _renamed(d, ["x"]), "the id `.'x'.` is no text"),
        (lambda d: _renamed(d, "caf\udce9"), r"the id `caf\\udce9` is no text that UTF-8 can hold"),
        (lambda d: Dataset((0, 1, 2), d.splits), "the class `0` is no text"),
        (lambda d: Dataset(("a", "b", "\ud800"), d.splits), r"the class `\\ud800` is no text"),
        (lambda d: Dataset(d.classes, d.splits, ("\udce9",)), r"the note `\\udce9` is no text"),
    ],
)
def test_a_data_source_that_breaks_its_contract_is_found_out(
    make_dataset, transform, broken, sentence
):
    with pytest.raises(PluginError, match=sentence):
        _load(broken(make_dataset()), transform)


@pytest.mark.parametrize(
    "load",
    [
        lambda image: torch.zeros(3, 8, 8),
        lambda image: torch.zeros(8, 8, dtype=torch.uint8),
        lambda image: torch.zeros(3, 8, int(np.asarray(image)[0, 0, 0]), dtype=torch.uint8),
    ],
)
def test_a_transform_that_loads_something_else_is_found_out(make_dataset, transform, load):
    transform.load = load
    with pytest.raises(PluginError, match="the transform breaks its contract: it loads `train/"):
        _load(make_dataset(), transform)


@pytest.mark.parametrize("loaded", [None, np.zeros((3, 8, 8), np.uint8)])
def test_a_transform_that_loads_no_tensor_is_found_out(make_dataset, transform, loaded):
    transform.load = lambda image: loaded
    with pytest.raises(
        PluginError, match=r"breaks its contract: it loads `train/00.png` as .*, no"
    ):
        _load(make_dataset(), transform)


def test_a_transform_that_loads_an_image_in_another_shape_later_is_found_out(
    make_dataset, transform
):
    split = _load(make_dataset(), transform, memory_bytes=0).splits["train"]
    transform.load = lambda image: torch.zeros(3, 1, 1, dtype=torch.uint8)
    with pytest.raises(PluginError, match=r"loads `train/00.png` as torch.uint8 \(3, 1, 1\), not"):
        split.load([0])


def test_a_transform_that_fails_is_named_with_the_image(make_dataset, transform):
    def load(image):
        raise ValueError("too blue")

    transform.load = load
    with pytest.raises(PluginError, match=r"the transform fails on `train/00.png`: too blue"):
        _load(make_dataset(), transform)
