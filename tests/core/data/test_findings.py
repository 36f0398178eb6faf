"""What is found from contents, labels and counts alone."""

import pytest

from tlf.data.findings import (
    Place,
    count_images,
    same_content,
    sizes_of_classes,
    without_class,
)


def findings(*rows, leaks="error"):
    places = [Place(*row[:3]) for row in rows]
    found = same_content(places, [row[3] for row in rows], leaks=leaks)
    return {one.kind: one for one in found}


def ids(finding):
    return [[place.id for place in example.images] for example in finding.examples]


def test_different_contents_are_nothing_to_speak_of():
    assert findings(("train", "a", "cat", "1"), ("validation", "b", "cat", "2")) == {}


def test_one_content_in_two_splits_is_a_leak():
    found = findings(
        ("train", "a", "cat", "1"), ("train", "b", "cat", "2"), ("validation", "c", "cat", "1")
    )
    assert list(found) == ["leak"]
    assert ids(found["leak"]) == [["a", "c"]]


@pytest.mark.parametrize(("leaks", "severity"), [("error", "error"), ("warn", "warning")])
def test_whether_a_leak_is_an_error_is_the_users_choice(leaks, severity):
    rows = [("train", "a", "cat", "1"), ("test", "b", "cat", "1")]
    assert findings(*rows, leaks=leaks)["leak"].severity == severity


def test_one_content_with_two_labels_is_a_conflict_and_a_duplicate():
    found = findings(("train", "a", "cat", "1"), ("train", "b", "dog", "1"))
    assert {kind: one.severity for kind, one in found.items()} == {
        "label-conflict": "warning",
        "duplicates": "warning",
    }
    assert ids(found["label-conflict"]) == [["a", "b"]]


def test_two_labels_in_two_splits_are_a_leak_as_well():
    found = findings(("train", "a", "cat", "1"), ("validation", "b", "dog", "1"))
    assert set(found) == {"leak", "label-conflict"}


def test_copies_in_one_split_are_a_group_without_those_elsewhere():
    found = findings(
        ("train", "a", "cat", "1"),
        ("train", "b", "cat", "1"),
        ("train", "c", "cat", "1"),
        ("validation", "d", "cat", "1"),
    )
    assert ids(found["duplicates"]) == [["a", "b", "c"]]
    assert ids(found["leak"]) == [["a", "b", "c", "d"]]


def sizes(train, validation=None):
    found = sizes_of_classes({"train": train, "validation": validation or dict.fromkeys(train, 5)})
    return {
        one.kind: (one.severity, [tuple(example.facts.values()) for example in one.examples])
        for one in found
    }


def test_classes_of_ten_up_to_ten_times_as_large_are_nothing_to_speak_of():
    assert sizes({"cat": 10, "dog": 100}) == {}


def test_a_class_of_nine_is_small():
    assert sizes({"cat": 9, "dog": 20}) == {"few-images": ("warning", [("train", "cat", 9)])}


def test_a_class_without_an_image_to_train_on_is_an_error():
    assert sizes({"cat": 0, "dog": 20}) == {"empty-class": ("error", [("train", "cat", 0)])}


def test_a_class_that_is_not_measured_is_named():
    found = sizes({"cat": 20, "dog": 20}, {"cat": 3, "dog": 0})
    assert found == {"unmeasured-class": ("warning", [("validation", "dog", 0)])}


def test_more_than_ten_times_as_many_images_are_an_imbalance():
    found = sizes({"cat": 10, "dog": 101, "bird": 50})
    assert found == {"imbalance": ("warning", [("train", "dog", 101), ("train", "cat", 10)])}


def test_images_are_counted_by_split_and_class():
    places = [Place("train", "a", "cat"), Place("train", "b", "cat"), Place("test", "c", "dog")]
    assert count_images(("train", "test"), ("cat", "dog"), places) == {
        "train": {"cat": 2, "dog": 0},
        "test": {"cat": 0, "dog": 1},
    }


def test_of_images_with_several_labels_each_class_is_counted_and_a_conflict_has_its_own_words():
    both, one, none = ("cat", "dog"), ("cat",), ()
    found = findings(("train", "a", both, "1"), ("train", "b", one, "1"))
    assert found["label-conflict"].message == "1 image is there with different labels"
    assert found["label-conflict"].hint == "give the same labels to all copies of an image"
    places = [
        Place("train", name, label) for name, label in zip("abc", (both, one, none), strict=True)
    ]
    assert count_images(["train"], ["cat", "dog"], places) == {"train": {"cat": 2, "dog": 1}}
    assert [place.shown for place in places] == ["cat and dog", "cat", "no class"]
    [note] = without_class(places)
    assert (note.kind, note.severity, ids(note)) == ("without-class", "note", [["c"]])


def test_imbalance_of_several_labels_is_seen_by_macro_f1():
    (finding,) = [
        one
        for one in sizes_of_classes({"train": {"cat": 300, "dog": 20}}, "multi-label")
        if one.kind == "imbalance"
    ]
    assert "`micro-f1` hides the small ones" in finding.hint
