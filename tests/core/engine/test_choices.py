import pytest

from tlf.engine.choices import (
    batch_size,
    epochs,
    listed,
    may_be_characters,
    notes_on_classes,
    possible_sizes,
    run_name,
)
from tlf.engine.survey import Survey


def seen(**changes):
    values = {
        "splits": {"train": 100, "validation": 20},
        "classes": {"a": 50, "b": 50},
        "looked_at": 120,
        "median_side": 300,
        "smallest": (300, 300),
        "largest": (300, 300),
        "grey": 0,
        "unreadable": (),
    }
    return Survey(**{**values, **changes})


@pytest.mark.parametrize(
    ("side", "own", "sizes"),
    [
        (28, 224, [64, 96, 128, 160, 192]),
        (64, 224, [64, 96, 128, 160, 192]),
        (65, 224, [96, 128, 160, 192]),
        (150, 224, [160, 192]),
        (167, 224, [192]),
        (168, 224, []),
        (224, 224, []),
        (5000, 224, []),
        (28, 64, []),
        (8, 20, []),
    ],
)
def test_a_smaller_size_is_a_multiple_of_32_that_loses_nothing(side, own, sizes):
    assert list(possible_sizes(side, own)) == sizes


@pytest.mark.parametrize(
    ("images", "size"),
    [(1, 8), (31, 8), (63, 8), (64, 16), (127, 16), (128, 32), (10_000_000, 32)],
)
def test_few_images_make_small_batches_that_are_four_an_epoch(images, size):
    assert batch_size(images, default=32) == size


def test_a_default_below_the_smallest_batch_stays():
    assert batch_size(1, default=6) == 6


@pytest.mark.parametrize(
    ("images", "number"), [(1, 10), (50_000, 10), (100_000, 5), (249_999, 2), (5_000_000, 2)]
)
def test_very_many_images_are_seen_in_fewer_epochs(images, number):
    assert epochs(images, default=10) == number


def test_a_default_of_one_epoch_stays():
    assert epochs(5_000_000, default=1) == 1


@pytest.mark.parametrize(
    ("side", "grey", "expected"),
    [(28, 120, True), (64, 108, True), (65, 120, False), (28, 107, False), (300, 120, False)],
)
def test_images_may_be_characters_if_they_are_small_and_nearly_all_grey(side, grey, expected):
    assert may_be_characters(seen(median_side=side, grey=grey)) is expected


def test_even_classes_with_images_enough_need_no_note():
    assert list(notes_on_classes(seen())) == []
    assert list(notes_on_classes(seen(classes={"a": 100, "b": 10}))) == []


def test_classes_with_few_images_are_named():
    (note,) = notes_on_classes(seen(classes={"a": 9, "b": 50, "c": 6}))
    assert note.startswith("few images to train on: `a` 9, `c` 6; ")


def test_very_unequal_classes_are_noted_with_their_ends():
    (note,) = notes_on_classes(seen(classes={"a": 1100, "b": 10, "c": 109}))
    assert note == (
        "the classes are unequal, from `b` with 10 images to train on to `a` with 1,100: look at "
        "the balanced accuracy"
    )


def test_of_many_names_the_first_are_given_and_the_others_counted():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(list("abcdef")) == "a, b, c and 3 more"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("photos", "photos"),
        ("My Photos (2)", "My-Photos-2"),
        (".hidden", "hidden"),
        ("Bäume", "Baume"),
        ("花", None),
        ("", None),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_run_is_called_like_the_folder_as_far_as_that_is_a_name(folder, name):
    assert run_name(folder) == name
