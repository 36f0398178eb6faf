"""The data source `digits`."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits

from tlf_builtin.digits.options import DigitsOptions
from tlf_builtin.digits.source import Digits


def opened(**options):
    return Digits(DigitsOptions(**options), Path()).open()


def test_all_digits_are_there_once():
    dataset = opened()
    ids = [item.id for items in dataset.splits.values() for item in items]
    assert len(ids) == len(set(ids)) == 1797
    assert dataset.classes == tuple("0123456789")
    assert {name: len(items) for name, items in dataset.splits.items()} == {
        "train": 929,
        "validation": 100,
        "test": 768,
    }


def test_an_item_is_the_image_and_the_label_of_scikit_learn():
    images, labels = load_digits(return_X_y=True)
    item = opened().splits["test"][3]
    assert item.label == labels[int(item.id)]
    pixels = item.read()
    assert (pixels.shape, pixels.dtype) == ((8, 8), np.uint8)
    assert np.abs(pixels.reshape(-1) / 255 - images[int(item.id)] / 16).max() < 0.5 / 255 + 1e-9


@pytest.mark.parametrize("shots", [1, 3, 80])
def test_there_are_as_many_shots_of_each_digit(shots):
    train = opened(shots=shots).splits["train"]
    assert Counter(item.label for item in train) == dict.fromkeys(range(10), shots)


def test_more_shots_contain_the_fewer_and_a_seed_draws_others():
    few, more, other = (
        {item.id for item in opened(**options).splits["train"]}
        for options in ({"shots": 3}, {"shots": 5}, {"shots": 3, "seed": 1})
    )
    assert few < more
    assert len(few & other) < len(few) / 2


def test_what_is_measured_does_not_depend_on_the_draw():
    first, second = opened(shots=3), opened(shots=5, seed=4)
    for split in ("validation", "test"):
        assert [i.id for i in first.splits[split]] == [i.id for i in second.splits[split]]


@pytest.mark.parametrize("options", [{"shots": 0}, {"shots": 81}, {"seed": -1}, {"shot": 3}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        DigitsOptions(**options)
