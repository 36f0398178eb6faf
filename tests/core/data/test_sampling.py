"""Balanced epochs: equally many of each class, and no image twice before all others once."""

from collections import Counter

import pytest

from tlf.data import batch_order, batches_per_epoch, load_dataset, train_batches
from tlf.data.sampling import balanced_draw

#: 90 of one class, 8 of another, 2 of a third.
LABELS = [0] * 90 + [1] * 8 + [2] * 2


def test_every_class_is_drawn_equally_often():
    for epoch in range(4):
        drawn = balanced_draw(LABELS, seed=3, epoch=epoch)
        assert len(drawn) == len(LABELS)
        assert Counter(LABELS[place] for place in drawn) == {0: 34, 1: 33, 2: 33}


def test_no_image_is_drawn_again_before_all_others_of_its_class():
    seen = Counter()
    for epoch in range(7):
        for place in balanced_draw(LABELS, seed=3, epoch=epoch):
            same = [seen[other] for other in range(len(LABELS)) if LABELS[other] == LABELS[place]]
            assert seen[place] == min(same)
            seen[place] += 1
    # 7 epochs of 34 are 2 rounds of 90 images, and some of a third.
    assert {seen[place] for place in range(90)} == {2, 3}


def test_the_draw_is_a_function_of_seed_and_epoch():
    drawn = balanced_draw(LABELS, seed=3, epoch=1)
    assert balanced_draw(LABELS, seed=3, epoch=1) == drawn
    assert balanced_draw(LABELS, seed=3, epoch=2) != drawn
    assert balanced_draw(LABELS, seed=4, epoch=1) != drawn


@pytest.mark.parametrize("batch_size", [1, 7, 33, 100, 1000])
def test_a_balanced_epoch_has_as_many_batches_of_the_same_sizes(batch_size):
    balanced = batch_order(100, batch_size, 0, 0, balanced=LABELS)
    assert len(balanced) == batches_per_epoch(100, batch_size)
    assert [len(b) for b in balanced] == [len(b) for b in batch_order(100, batch_size, 0, 0)]
    drawn = sorted(place for batch in balanced for place in batch)
    assert drawn == sorted(balanced_draw(LABELS, 0, 0))


def test_its_classes_are_mixed_over_the_batches():
    batches = batch_order(100, 25, 0, 0, balanced=LABELS)
    assert all({LABELS[place] for place in batch} == {0, 1, 2} for batch in batches)


@pytest.mark.parametrize(
    ("views", "expected"),
    [("every-epoch", [4, 100_004, 200_004]), ("none", [None] * 3)],
)
def test_an_image_that_comes_again_in_an_epoch_comes_in_another_view(
    make_dataset, transform, views, expected
):
    split = load_dataset(make_dataset(), transform, unreadable="error", workers=0).splits["train"]
    asked = []

    def fetch(_, indices, numbers):
        asked.extend(zip(indices, numbers, strict=True))

    list(train_batches(split, fetch, [[0, 1, 0], [0, 2]], views=views, seed=0, epoch=4))
    assert [view for index, view in asked if index == 0] == expected


def test_of_few_views_it_takes_the_next(make_dataset, transform):
    split = load_dataset(make_dataset(), transform, unreadable="error", workers=0).splits["train"]
    asked = []
    list(
        train_batches(
            split, lambda _, __, n: asked.extend(n), [[0, 0, 0, 0]], views=3, seed=0, epoch=0
        )
    )
    first, *rest = asked
    assert rest == [(first + 1) % 3, (first + 2) % 3, first]
