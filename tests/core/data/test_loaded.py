"""A data set is read once, and what cannot be read is dealt with before anything is trained."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from tlf.data import Skipped, Use, load_dataset
from tlf.data.decode import decode, digest
from tlf.errors import DataError, PluginError, RunError
from tlf.plugin import Dataset


def _load(dataset, transform, **changes):
    settings = {"unreadable": "error", "workers": 2} | changes
    return load_dataset(dataset, transform, **settings)


def test_every_image_is_decoded_once_where_it_is_kept(make_dataset, transform, image_store):
    dataset = make_dataset(test=4)
    store = image_store()

    class Keep(Use):
        def take(self, digest, image, prepared):
            store.add([digest], image[None])

    loaded = _load(dataset, transform, use=Keep(), decoded=store)
    items = [item for split in dataset.splits.values() for item in split]
    for split in loaded.splits.values():
        split.load(range(len(split)))
    assert loaded.images_decoded == len(items) == 22
    assert all(item.read.reads == 1 for item in items)


def test_nothing_is_kept_of_an_image_that_nobody_keeps(make_dataset, transform):
    dataset = make_dataset()
    loaded = _load(dataset, transform)
    assert loaded.images_decoded == 18
    loaded.splits["train"].load([0, 4])
    assert loaded.images_decoded == 20


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
@pytest.mark.parametrize("room", [0, 5, 1000])
def test_neither_threads_nor_memory_change_what_is_loaded(
    make_dataset, transform, image_store, workers, room
):
    reference = _load(make_dataset(), transform, workers=0)
    loaded = _load(make_dataset(), transform, workers=workers, decoded=image_store(room))
    for name, split in loaded.splits.items():
        other = reference.splits[name]
        assert split.digests == other.digests
        for _ in range(2):
            assert split.load(range(len(split))).equal(other.load(range(len(other))))


def test_what_does_not_fit_into_the_store_is_decoded_again(make_dataset, transform, image_store):
    store = image_store(room=5)
    loaded = _load(make_dataset(), transform, decoded=store)
    split = loaded.splits["train"]
    split.load(range(12))
    assert loaded.images_decoded == 18 + 12
    split.load(range(12))
    assert loaded.images_decoded == 18 + 12 + 7
    split.load([0, 4])
    assert loaded.images_decoded == 18 + 12 + 7


@pytest.mark.parametrize("content", [b"spoilt", b"", OSError(2, "No such file or directory")])
def test_a_file_that_changes_during_the_run_is_an_error(make_dataset, transform, content):
    dataset = make_dataset()
    loaded = _load(dataset, transform)
    dataset.splits["train"][3].read.content = content
    with pytest.raises(DataError, match=r"`train/03.png` has changed since the run began"):
        loaded.splits["train"].load([3])


def test_another_image_in_its_place_is_an_error(make_dataset, transform):
    dataset = make_dataset()
    loaded = _load(dataset, transform)
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


@pytest.mark.parametrize("workers", [0, 2])
def test_an_item_too_large_for_the_memory_is_named_and_not_left_out(
    make_dataset, transform, workers
):
    dataset = make_dataset(spoilt={"train/01.png": MemoryError()})
    with pytest.raises(RunError, match=r"not enough memory to read `train/01.png`") as caught:
        _load(dataset, transform, unreadable="skip-and-report", workers=workers)
    assert "`training.workers`" in caught.value.hint


def test_a_transform_that_needs_more_memory_than_there_is_is_no_fault_of_its_plugin(
    make_dataset, transform
):
    def load(image):
        raise MemoryError

    transform.load = load
    with pytest.raises(RunError, match=r"not enough memory to read `train/00.png`"):
        _load(make_dataset(), transform)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ending", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_a_data_source_that_wants_to_end_the_process_is_named_with_the_item(
    make_dataset, transform, workers, ending
):
    dataset = make_dataset(spoilt={"train/01.png": ending})
    with pytest.raises(PluginError) as caught:
        _load(dataset, transform, unreadable="skip-and-report", workers=workers)
    assert str(caught.value) == f"reading `train/01.png` ends with {type(ending).__name__}"


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


def _with_first(dataset, **changes):
    first, *others = dataset.splits["train"]
    splits = {**dataset.splits, "train": [replace(first, **changes), *others]}
    return replace(dataset, splits=splits)


def _several(dataset, labels):
    """Return a multi-label data set in which one image has these labels."""
    splits = {
        name: [replace(item, label=(item.label,)) for item in items]
        for name, items in dataset.splits.items()
    }
    return _with_first(replace(dataset, splits=splits, task="multi-label"), label=labels)


def _grouped(dataset, group):
    splits = {
        name: [replace(item, group=group) for item in items]
        for name, items in dataset.splits.items()
    }
    return replace(dataset, splits=splits)


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
        (
            lambda d: _renamed(d, "two\nlines"),
            r"the id `two\\nlines` is no text that UTF-8 can hold in one line",
        ),
        (
            lambda d: _renamed(d, "\x1b[2J"),
            r"the id `\\x1b\[2J` is no text that UTF-8 can hold in one line",
        ),
        (lambda d: Dataset((0, 1, 2), d.splits), "the class `0` is no text"),
        (lambda d: Dataset(("a", "b", "\ud800"), d.splits), r"the class `\\ud800` is no text"),
        (lambda d: replace(d, task="multilabel"), "its task is `multilabel`, not single-label or"),
        (lambda d: _with_first(d, label=(0,)), r"the label `\(0,\)`, in a single-label data set"),
        (lambda d: _several(d, 0), "the label `0`, in a multi-label data set"),
        (lambda d: _several(d, (0, 3)), r"the label `\(0, 3\)`, of 3 classes"),
        (lambda d: _several(d, (1, 0)), r"are \(1, 0\), not each once and rising"),
        (lambda d: _several(d, (1, 1)), r"are \(1, 1\), not each once and rising"),
        (lambda d: _grouped(d, "dog 7"), "the group `dog 7` is in `train` and in `validation`"),
        (lambda d: _with_first(d, group="two\nlines"), "the group `two.*is no text that UTF-8"),
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
    split = _load(make_dataset(), transform, workers=0).splits["train"]
    shapes = iter([(3, 8, 8), (3, 1, 1)])
    transform.load = lambda image: torch.zeros(next(shapes), dtype=torch.uint8)
    with pytest.raises(PluginError, match=r"loads `train/00.png` as torch.uint8 \(3, 1, 1\), not"):
        split.load([3, 0])


def test_a_transform_that_fails_is_named_with_the_image(make_dataset, transform):
    def load(image):
        raise ValueError("too blue")

    transform.load = load
    with pytest.raises(PluginError, match=r"the transform fails on `train/00.png`: too blue"):
        _load(make_dataset(), transform)


class Noting(Use):
    """Writes down what it is asked and given."""

    def __init__(self, unneeded=()):
        self.unneeded = set(unneeded)
        self.asked = []
        self.prepared = []
        self.taken = []
        self.preparing, self.taking = set(), set()

    def needed(self, split, digest):
        self.asked.append((split, digest))
        return digest not in self.unneeded

    def prepare(self, split, digest, image):
        self.preparing.add(threading.current_thread())
        self.prepared.append((split, digest))
        return split, digest, image

    def take(self, digest, image, prepared):
        self.taking.add(threading.current_thread())
        self.taken.append((digest, image, prepared))


def _digests(dataset):
    return {
        name: [digest(item.read.content) for item in items]
        for name, items in dataset.splits.items()
    }


def test_of_every_image_it_is_asked_whether_it_is_needed_by_split_and_digest(
    make_dataset, transform
):
    dataset, use = make_dataset(), Noting()
    _load(dataset, transform, use=use)
    known = _digests(dataset)
    assert sorted(use.asked) == sorted((name, one) for name in known for one in known[name])


def test_what_is_not_needed_is_read_but_neither_decoded_nor_handed_on(make_dataset, transform):
    dataset = make_dataset()
    known = _digests(dataset)["train"]
    use = Noting(unneeded=known[3:7])
    loaded = _load(dataset, transform, use=use)
    assert loaded.images_decoded == 14
    assert loaded.splits["train"].digests == tuple(known)
    assert all(item.read.reads == 1 for item in dataset.splits["train"])
    assert [one for one, _, _ in use.taken][:8] == known[:3] + known[7:]
    # Who asks for such an image later still gets it.
    assert loaded.splits["train"].load([4]).shape == (1, 3, 8, 8)


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_images_are_prepared_where_they_are_read_and_taken_over_in_order_by_the_caller(
    make_dataset, transform, workers
):
    dataset, use = make_dataset(), Noting()
    loaded = _load(dataset, transform, use=use, workers=workers)
    known = _digests(dataset)
    order = [(name, one) for name in dataset.splits for one in known[name]]
    assert sorted(use.prepared) == sorted(order)
    assert use.taking == {threading.main_thread()}
    if workers:
        assert threading.main_thread() not in use.preparing
        assert all(thread.name.startswith("tlf-data") for thread in use.preparing)
    assert [one for one, _, _ in use.taken] == [one for _, one in order]
    for (name, one), (_, image, prepared) in zip(order, use.taken, strict=True):
        assert prepared[:2] == (name, one)
        assert prepared[2] is image
        place = loaded.splits[name].digests.index(one)
        assert image.equal(loaded.splits[name].load([place])[0])


def test_an_error_in_preparing_is_raised(make_dataset, transform):
    class Failing(Use):
        def prepare(self, split, digest, image):
            raise ArithmeticError("too blue")

    with pytest.raises(ArithmeticError, match="too blue"):
        _load(make_dataset(), transform, use=Failing())


def test_once_it_is_clear_that_there_will_be_no_run_nothing_is_taken_over(make_dataset, transform):
    spoilt = {"train/05.png": b"", "validation/03.png": b"no image"}
    use = Noting()
    with pytest.raises(DataError) as caught:
        _load(make_dataset(spoilt=spoilt), transform, use=use)
    assert len(use.taken) == 5
    # Yet all that is wrong is named.
    assert [line.split("`")[1] for line in str(caught.value).splitlines()[1:]] == list(spoilt)


def test_where_unreadable_images_are_left_out_all_others_are_taken_over(make_dataset, transform):
    use = Noting()
    spoilt = {"train/05.png": b"", "validation/03.png": b"no image"}
    _load(make_dataset(spoilt=spoilt), transform, use=use, unreadable="skip-and-report")
    assert len(use.taken) == 16


def test_the_digest_of_every_file_that_is_read_is_remembered(
    make_dataset, transform, digest_memory, tmp_path
):
    dataset = make_dataset(folder=tmp_path)
    _load(dataset, transform, digests=digest_memory)
    known = _digests(dataset)
    items = [item for items in dataset.splits.values() for item in items]
    digests = [one for name in dataset.splits for one in known[name]]
    assert [path for path, _, _ in digest_memory.remembered] == [item.path for item in items]
    assert [one for _, _, one in digest_memory.remembered] == digests
    for path, stat, _ in digest_memory.remembered:
        assert (stat.st_size, stat.st_mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)


def test_a_files_state_is_noted_before_it_is_read(make_dataset, transform, digest_memory, tmp_path):
    """So a file that is written to meanwhile is not taken for the one that was read."""
    dataset = make_dataset(folder=tmp_path)
    item = dataset.splits["train"][2]
    before = item.path.stat()

    def grow():
        content = item.read.content
        item.path.write_bytes(content + b"more")
        return content

    items = [replace(one, read=grow) if one is item else one for one in dataset.splits["train"]]
    changed = Dataset(dataset.classes, {**dataset.splits, "train": items})
    _load(changed, transform, digests=digest_memory)
    (stat,) = [stat for path, stat, _ in digest_memory.remembered if path == item.path]
    assert stat.st_size == before.st_size < item.path.stat().st_size


def test_what_is_remembered_and_not_needed_is_not_read(
    make_dataset, transform, digest_memory, tmp_path
):
    first = make_dataset(folder=tmp_path)
    usual = _load(first, transform, digests=digest_memory)
    again = make_dataset(folder=tmp_path)
    known = _digests(again)
    unneeded = known["train"] + known["validation"][2:]
    loaded = _load(again, transform, digests=digest_memory, use=Noting(unneeded=unneeded))
    assert [item.read.reads for item in again.splits["train"]] == [0] * 12
    assert [item.read.reads for item in again.splits["validation"]] == [1, 1, 0, 0, 0, 0]
    assert loaded.images_decoded == 2
    for name, split in loaded.splits.items():
        assert split.digests == usual.splits[name].digests
        assert split.items == tuple(again.splits[name])


def test_what_is_not_read_is_not_remembered_again(make_dataset, transform, digest_memory, tmp_path):
    dataset = make_dataset(folder=tmp_path)
    known = _digests(dataset)
    _load(dataset, transform, digests=digest_memory)
    before = len(digest_memory.remembered)
    unneeded = known["train"] + known["validation"]
    _load(dataset, transform, digests=digest_memory, use=Noting(unneeded=unneeded))
    assert len(digest_memory.remembered) == before


def test_what_is_remembered_and_needed_is_read(make_dataset, transform, digest_memory, tmp_path):
    _load(make_dataset(folder=tmp_path), transform, digests=digest_memory)
    again = make_dataset(folder=tmp_path)
    use = Noting()
    assert _load(again, transform, digests=digest_memory, use=use).images_decoded == 18
    assert len(use.taken) == 18


def test_of_a_file_that_is_remembered_wrongly_the_content_counts(
    make_dataset, transform, digest_memory, tmp_path
):
    dataset = make_dataset(folder=tmp_path)
    digest_memory.known["train-03.png"] = "0" * 64
    loaded = _load(dataset, transform, digests=digest_memory)
    assert loaded.splits["train"].digests == tuple(_digests(dataset)["train"])


def test_items_without_a_file_stand_beside_others_and_are_read_each_time(
    make_dataset, transform, digest_memory, tmp_path
):
    _load(make_dataset(folder=tmp_path), transform, digests=digest_memory)
    again = make_dataset(folder=tmp_path)
    known = _digests(again)
    items = [
        replace(item, path=None) if index % 2 else item
        for index, item in enumerate(again.splits["train"])
    ]
    mixed = Dataset(again.classes, {**again.splits, "train": items})
    unneeded = known["train"] + known["validation"]
    before = len(digest_memory.remembered)
    loaded = _load(mixed, transform, digests=digest_memory, use=Noting(unneeded=unneeded))
    assert [item.read.reads for item in items] == [0, 1] * 6
    assert loaded.splits["train"].digests == tuple(known["train"])
    assert len(digest_memory.remembered) == before


def test_an_unreadable_file_is_not_remembered(make_dataset, transform, digest_memory, tmp_path):
    dataset = make_dataset(spoilt={"train/01.png": b"no image"}, folder=tmp_path)
    _load(dataset, transform, digests=digest_memory, unreadable="skip-and-report")
    assert "train-01.png" not in digest_memory.known
    assert len(digest_memory.remembered) == 17


def test_a_split_takes_from_the_store_what_is_there_and_decodes_and_adds_the_rest(
    make_dataset, transform, image_store
):
    dataset, store = make_dataset(), image_store()
    split = _load(dataset, transform, decoded=store).splits["train"]
    wanted = _load(make_dataset(), transform).splits["train"].load([5, 2, 9, 5, 0])
    assert not store.kept
    marked = torch.full((3, 8, 8), 77, dtype=torch.uint8)
    store.kept[split.digests[2]] = marked
    reads = [item.read.reads for item in dataset.splits["train"]]
    found = split.load([5, 2, 9, 5, 0])
    assert found[1].equal(marked)
    assert found[[0, 2, 3, 4]].equal(wanted[[0, 2, 3, 4]])
    assert set(store.kept) == {split.digests[index] for index in (0, 2, 5, 9)}
    assert dataset.splits["train"][2].read.reads == reads[2]
    after = [item.read.reads for item in dataset.splits["train"]]
    assert split.load([5, 2, 9, 5, 0]).equal(found)
    assert [item.read.reads for item in dataset.splits["train"]] == after


def test_the_store_is_asked_once_for_a_batch(make_dataset, transform, image_store):
    store = image_store()
    split = _load(make_dataset(), transform, decoded=store).splits["train"]
    asked, read = [], store.read
    store.read = lambda digests: asked.append(list(digests)) or read(digests)
    split.load([3, 1])
    assert asked == [[split.digests[3], split.digests[1]]]


def test_of_several_labels_each_class_has_a_column(make_dataset, transform):
    split = _load(_several(make_dataset(), ()), transform).splits["train"]
    assert split.task == "multi-label"
    assert split.labels.dtype == torch.float32
    assert split.labels[:4].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
