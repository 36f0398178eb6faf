import io

import pytest
from PIL import Image

from tlf.engine import survey as module
from tlf.engine.survey import evenly_spread, survey
from tlf.errors import DataError
from tlf.plugin import Dataset, Item


def an_item(name, label, width=40, height=30, mode="RGB", content=None):
    def read():
        if content is not None:
            return content
        file = io.BytesIO()
        Image.new(mode, (width, height)).save(file, "PNG")
        return file.getvalue()

    return Item(name, label, read)


def a_dataset(train, validation):
    return Dataset(("a", "b"), {"train": train, "validation": validation})


def test_images_are_counted_by_split_and_those_to_train_on_by_class():
    train = [an_item(str(number), number % 2) for number in range(5)]
    found = survey(a_dataset(train, [an_item("v", 0), an_item("w", 1)]))
    assert found.splits == {"train": 5, "validation": 2}
    assert found.classes == {"a": 3, "b": 2}
    assert (found.total, found.looked_at, found.unreadable) == (7, 7, ())


def test_sizes_are_compared_by_the_shorter_side():
    train = [an_item("1", 0, 20, 90), an_item("2", 1, 50, 60), an_item("3", 0, 300, 40, "L")]
    found = survey(a_dataset(train, [an_item("4", 1, 55, 50)]))
    assert (found.smallest, found.largest) == ((20, 90), (50, 60))
    assert found.median_side == 45
    assert found.grey == 1


def test_images_whose_header_cannot_be_read_are_named_and_not_measured():
    train = [an_item("1", 0), an_item("2", 1), an_item("3", 1, content=b"GIF")]
    found = survey(a_dataset(train, [an_item("4", 1)]))
    assert [(one.split, one.id) for one in found.unreadable] == [("train", "3")]
    assert found.smallest == found.largest == (40, 30)


def test_a_class_with_no_image_that_can_be_read_is_an_error():
    train = [an_item("1", 0), an_item("2", 1, content=b"")]
    with pytest.raises(DataError, match="no image to train on is left of `b`"):
        survey(a_dataset(train, [an_item("4", 1)]))


def test_images_of_which_none_can_be_read_are_an_error_with_an_example():
    train = [an_item("1", 0, content=b""), an_item("2", 1, content=b"")]
    with pytest.raises(DataError, match="none of the 3 images can be read, such as `1`: the file"):
        survey(a_dataset(train, [an_item("4", 1, content=b"")]))


def test_of_many_images_some_are_looked_at_from_all_over(monkeypatch):
    monkeypatch.setattr(module, "LOOKED_AT", 10)
    train = [an_item(str(n), n % 2, 40 + n, 40 + n) for n in range(90)]
    found = survey(a_dataset(train, [an_item(f"v{n}", 0, 200, 200) for n in range(10)]))
    assert (found.looked_at, found.total) == (10, 100)
    assert (found.smallest, found.largest) == ((40, 40), (200, 200))


@pytest.mark.parametrize("count", [1, 7, 8, 100])
def test_what_is_evenly_spread_begins_with_the_first_and_has_no_double(count):
    items = [("train", an_item(str(number), 0)) for number in range(count)]
    chosen = evenly_spread(items, 7)
    ids = [item.id for _, item in chosen]
    assert len(ids) == len(set(ids)) == min(7, count)
    assert ids[0] == "0"
    assert ids == sorted(ids, key=int)
