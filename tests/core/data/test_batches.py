"""Every image is in one batch of an epoch, and batches are made ahead without changing them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tlf.data import (
    batch_order,
    batches_per_epoch,
    evaluation_batches,
    load_dataset,
    load_views,
    padded_chunks,
    train_batches,
    view_of_epoch,
)


@pytest.fixture
def make_split(make_dataset, transform):
    def make(count=12, workers=0, memory_bytes=2**20):
        loaded = load_dataset(
            make_dataset(train=count),
            transform,
            unreadable="error",
            workers=workers,
            memory_bytes=memory_bytes,
        )
        return loaded.splits["train"]

    return make


def _epoch(split, transform, **changes):
    settings = {"batch_size": 5, "views": "every-epoch", "augmentation_seed": 0, "seed": 0}
    return train_batches(split, transform, **(settings | {"epoch": 0} | changes))


@pytest.mark.parametrize("count", [1, 2, 3, 31, 32, 33, 34, 64, 65, 100])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 32, 1000])
def test_every_image_is_in_one_batch(count, batch_size):
    batches = batch_order(count, batch_size, seed=0, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(count))
    assert len(batches) == batches_per_epoch(count, batch_size)
    if batch_size > 1 and count > 1:
        assert min(map(len, batches)) > 1
    assert max(map(len, batches)) <= batch_size + (batch_size > 1)


def test_a_single_image_left_over_joins_the_batch_before():
    assert [len(batch) for batch in batch_order(33, 16, 0, 0)] == [16, 17]
    assert [len(batch) for batch in batch_order(34, 16, 0, 0)] == [16, 16, 2]
    assert [len(batch) for batch in batch_order(3, 1, 0, 0)] == [1, 1, 1]


def test_the_order_is_drawn_from_seed_and_epoch():
    first = batch_order(50, 8, seed=3, epoch=2)
    torch.manual_seed(99)
    assert batch_order(50, 8, seed=3, epoch=2) == first
    assert batch_order(50, 8, seed=3, epoch=3) != first
    assert batch_order(50, 8, seed=4, epoch=2) != first
    # A seed and the next must not be an epoch and the next.
    assert batch_order(50, 8, seed=2, epoch=3) != first


@pytest.mark.parametrize("views", ["none", 3, "every-epoch"])
def test_a_batch_holds_the_views_and_labels_of_its_images(make_split, transform, views):
    split = make_split()
    for images, labels, indices in _epoch(split, transform, views=views, seed=5, epoch=2):
        assert labels.equal(split.labels[indices])
        for image, index in zip(images, indices, strict=True):
            view = view_of_epoch(views, 5, split.digests[index], 2)
            wanted = load_views(split, transform, [index], view=view, augmentation_seed=0)
            assert image.equal(wanted[0])


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_batches_do_not_depend_on_threads_and_memory(make_split, transform, workers):
    reference = list(_epoch(make_split(), transform))
    found = list(_epoch(make_split(workers=workers, memory_bytes=500), transform))
    for one, other in zip(found, reference, strict=True):
        assert one[0].equal(other[0])
        assert one[1].equal(other[1])
        assert one[2] == other[2]


def test_batches_are_made_in_another_thread_at_most_two_ahead(make_split, transform, monkeypatch):
    split = make_split(count=40)
    made, submitted = [], []
    evaluate, submit = transform.evaluate, ThreadPoolExecutor.submit
    transform.evaluate = lambda batch: made.append(threading.current_thread()) or evaluate(batch)
    batches = _epoch(split, transform, views="none")

    def recorded(self, function, *arguments):
        submitted.extend(arguments)
        return submit(self, function, *arguments)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", recorded)
    first = next(batches)
    assert submitted[0] == first[2]
    assert len(submitted) == 3
    next(batches)
    assert len(submitted) == 4
    batches.close()
    assert threading.current_thread() not in made


def test_an_error_of_the_background_reaches_the_consumer(make_split, transform):
    def augment(batch, generators):
        raise ArithmeticError("too blue")

    transform.augment = augment
    with pytest.raises(ArithmeticError, match="too blue"):
        next(_epoch(make_split(), transform))


def test_no_thread_outlives_the_iteration(make_split, transform):
    split = make_split(count=40)
    before = set(threading.enumerate())
    batches = _epoch(split, transform)
    next(batches)
    working = set(threading.enumerate()) - before
    assert working
    batches.close()
    for thread in working:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16])
def test_chunks_are_of_one_size_and_say_how_much_of_them_counts(count):
    chunks = list(padded_chunks(count, 8))
    assert all(len(chunk) == 8 for chunk, _ in chunks)
    assert [index for chunk, valid in chunks for index in chunk[:valid]] == list(range(count))
    last, valid = chunks[-1]
    assert set(last[valid:]) <= {count - 1}


def test_evaluation_sees_every_image_in_order(make_split, transform):
    split = make_split(count=11)
    chunks = list(evaluation_batches(split, transform, 4))
    assert [(len(images), valid) for images, valid in chunks] == [(4, 4), (4, 4), (4, 3)]
    seen = torch.cat([images[:valid] for images, valid in chunks])
    assert seen.equal(split.load(range(11)))
    assert chunks[-1][0][3].equal(split.load([10])[0])


def test_padding_is_not_decoded(make_split, transform):
    split = make_split(count=3, memory_bytes=0)
    reads = [item.read.reads for item in split.items]
    list(evaluation_batches(split, transform, 8))
    assert [item.read.reads for item in split.items] == [count + 1 for count in reads]
