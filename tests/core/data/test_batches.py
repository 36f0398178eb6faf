"""Every image is in one batch of an epoch, and batches are made ahead without changing them."""

import threading

import pytest
import torch

from tlf.data import (
    batch_order,
    batches_per_epoch,
    evaluation_batches,
    load_dataset,
    load_views,
    train_batches,
    view_of_epoch,
)
from tlf.data.threads import Threads


@pytest.fixture
def make_split(make_dataset, transform):
    def make(count=12, workers=0, decoded=None):
        loaded = load_dataset(
            make_dataset(train=count),
            transform,
            unreadable="error",
            workers=workers,
            decoded=decoded,
        )
        return loaded.splits["train"]

    return make


def _fetch(transform):
    """What a run fetches of images: their views, here with their places."""

    def fetch(split, indices, views):
        return load_views(split, transform, indices, views, 0), list(indices)

    return fetch


def _epoch(split, transform, **changes):
    settings = {"views": "every-epoch", "seed": 0, "epoch": 0} | changes
    order = batch_order(len(split), 5, settings["seed"], settings["epoch"])
    return train_batches(split, _fetch(transform), order, **settings)


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
    for (images, indices), labels in _epoch(split, transform, views=views, seed=5, epoch=2):
        assert labels.equal(split.labels[indices])
        for image, index in zip(images, indices, strict=True):
            view = view_of_epoch(views, 5, split.digests[index], 2)
            assert image.equal(load_views(split, transform, [index], [view], 0)[0])


def test_an_epoch_asks_for_the_images_of_its_order_and_for_no_other(make_split, transform):
    asked = []
    split = make_split()

    def fetch(of, indices, views):
        assert of is split
        asked.append((list(indices), list(views)))
        return len(asked)

    order = batch_order(12, 5, 4, 6)
    epoch = train_batches(split, fetch, order, views=3, seed=4, epoch=6)
    assert [fetched for fetched, _ in epoch] == [1, 2, 3]
    assert [indices for indices, _ in asked] == order
    for indices, views in asked:
        assert views == [view_of_epoch(3, 4, split.digests[index], 6) for index in indices]


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("room", [0, 2, 1000])
def test_batches_do_not_depend_on_threads_and_memory(
    make_split, transform, image_store, workers, room
):
    reference = list(_epoch(make_split(), transform))
    split = make_split(workers=workers, decoded=image_store(room))
    for _ in range(2):
        found = list(_epoch(split, transform))
        for one, other in zip(found, reference, strict=True):
            assert one[0][0].equal(other[0][0])
            assert one[0][1] == other[0][1]
            assert one[1].equal(other[1])


def test_batches_are_made_in_another_thread_at_most_two_ahead(make_split, transform, monkeypatch):
    split = make_split(count=40)
    made, submitted = [], []
    evaluate, submit = transform.evaluate, Threads.submit
    transform.evaluate = lambda batch: made.append(threading.current_thread()) or evaluate(batch)
    batches = _epoch(split, transform, views="none")

    def recorded(self, function, *arguments):
        # A batch is a list of places, with how often each came before; an image to read is none.
        submitted.extend([i for i, _ in one] for one in arguments if isinstance(one, list))
        return submit(self, function, *arguments)

    monkeypatch.setattr(Threads, "submit", recorded)
    first = next(batches)
    assert submitted[0] == first[0][1]
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


@pytest.mark.parametrize("count", [3, 7, 8, 9, 16])
def test_evaluation_sees_every_image_once_in_order(make_split, count):
    split = make_split(count=count)
    asked = []

    def fetch(of, indices, views):
        assert of is split
        assert list(views) == [None] * len(indices)
        asked.append(list(indices))
        return list(indices)

    batches = list(evaluation_batches(split, fetch, 8))
    assert batches == asked
    assert [index for batch in batches for index in batch] == list(range(count))
    assert all(len(batch) == 8 for batch in batches[:-1])


def test_evaluation_sees_the_view_without_chance(make_split, transform):
    split = make_split(count=11)
    batches = list(evaluation_batches(split, _fetch(transform), 4))
    assert [len(images) for images, _ in batches] == [4, 4, 3]
    seen = torch.cat([images for images, _ in batches])
    assert seen.equal(transform.evaluate(split.load(range(11))))


def test_padding_is_not_decoded(make_split, transform):
    split = make_split(count=3)
    reads = [item.read.reads for item in split.items]
    list(evaluation_batches(split, _fetch(transform), 8))
    assert [item.read.reads for item in split.items] == [count + 1 for count in reads]


def test_evaluation_is_made_ready_in_another_thread(make_split):
    threads = []

    def fetch(split, indices, views):
        threads.append(threading.current_thread())

    list(evaluation_batches(make_split(), fetch, 5))
    assert len(threads) == 3
    assert threading.current_thread() not in threads
