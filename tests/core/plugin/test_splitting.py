"""Items are dealt out to splits class by class, by seed, and never a part of a group."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlf.plugin import Item, split_items


def items(labels, groups=None):
    groups = groups or [None] * len(labels)
    return [
        Item(f"{number:03d}.png", label, bytes, group=group)
        for number, (label, group) in enumerate(zip(labels, groups, strict=True))
    ]


def counted(found):
    return Counter(label for item in found for label in item.labels)


def test_every_class_has_its_share_in_every_split():
    found = split_items(
        items([0] * 50 + [1] * 20 + [2] * 10), {"validation": 0.2, "test": 0.1}, seed=0
    )
    assert counted(found["train"]) == {0: 35, 1: 14, 2: 7}
    assert counted(found["validation"]) == {0: 10, 1: 4, 2: 2}
    assert counted(found["test"]) == {0: 5, 1: 2, 2: 1}


def test_small_classes_go_to_train_first_and_then_one_to_each_split():
    found = split_items(items([0, 1, 1, 2, 2, 2]), {"validation": 0.1, "test": 0.1}, seed=0)
    assert counted(found["train"]) == {0: 1, 1: 1, 2: 1}
    assert counted(found["validation"]) == {1: 1, 2: 1}
    assert counted(found["test"]) == {2: 1}


def test_a_class_that_seldom_stands_alone_has_its_share_too():
    drawn = random.Random(0)
    labels = [
        tuple(label for label, often in enumerate((0.8, 0.4, 0.1, 0.03)) if drawn.random() < often)
        for _ in range(1000)
    ]
    held = split_items(items(labels), {"held": 0.2}, seed=0)["held"]
    whole = counted(items(labels))
    for label, number in counted(held).items():
        assert number == pytest.approx(0.2 * whole[label], abs=1.5)
    assert len(held) == pytest.approx(200, abs=5)


def test_the_seed_draws_and_neither_the_order_nor_the_unicode_form_does():
    these = items([0] * 30 + [1] * 30)

    def held(some, seed):
        return {item.id for item in split_items(some, {"held": 0.3}, seed=seed)["held"]}

    assert held(these, 1) == held(these[::-1], 1)
    assert held(these, 1) != held(these, 2)
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for name in (composed, decomposed):
        these[0] = Item(name, 0, bytes)
        assert (name in held(these, 5)) is (
            composed in held([Item(composed, 0, bytes), *these[1:]], 5)
        )


def test_a_share_of_nothing_gives_an_empty_split_and_too_much_is_refused():
    found = split_items(items([0, 0, 1]), {"test": 0.0}, seed=0)
    assert found["test"] == []
    assert len(found["train"]) == 3
    for shares in ({"a": 0.5, "b": 0.5}, {"train": 0.1}, {"a": -0.1}):
        with pytest.raises(ValueError, match="leave nothing for train"):
            split_items(items([0]), shares, seed=0)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.frozensets(st.integers(0, 3), max_size=3).map(lambda s: tuple(sorted(s))),
            st.one_of(st.none(), st.sampled_from("abcdef")),
        ),
        max_size=40,
    ),
    share=st.sampled_from([0.05, 0.2, 0.5]),
    seed=st.integers(0, 3),
)
def test_no_item_is_lost_no_group_torn_and_every_class_is_learned(rows, share, seed):
    these = items([label for label, _ in rows], [group for _, group in rows])
    found = split_items(these, {"validation": share, "test": 0.1}, seed=seed)
    assert (
        sorted((one for split in found.values() for one in split), key=lambda one: one.id) == these
    )
    split_of = {}
    for split, some in found.items():
        assert some == [one for one in these if one in some]
        for one in some:
            if one.group is not None:
                assert split_of.setdefault(one.group, split) == split
    # Rarest first: a class that lies in one unit only is in train.
    units = Counter(
        label for key in {(one.label, one.group or one.id) for one in these} for label in key[0]
    )
    trained = counted(found["train"])
    if all(one.group is None for one in these) and all(len(one.labels) <= 1 for one in these):
        assert set(trained) == set(units)
