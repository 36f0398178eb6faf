"""A view is a function of seed, image and number, whatever it is made with."""

import pytest
import torch

from tlf.data import load_dataset, load_views, make_views, view_of_epoch
from tlf.data.seeds import stable_seed
from tlf.errors import PluginError


@pytest.fixture
def split(make_dataset, transform):
    loaded = load_dataset(make_dataset(), transform, unreadable="error", workers=0)
    return loaded.splits["train"]


def _views(split, transform, indices, view=0, seed=0):
    return load_views(split, transform, indices, [view] * len(indices), seed)


def test_the_view_none_is_what_evaluation_sees(split, transform):
    assert _views(split, transform, [3, 1], view=None).equal(split.load([3, 1]))


def test_a_view_is_the_same_alone_and_in_a_batch_in_any_order(split, transform):
    together = _views(split, transform, range(12), view=4)
    backward = _views(split, transform, range(11, -1, -1), view=4)
    assert backward.flip(0).equal(together)
    for index in range(12):
        assert _views(split, transform, [index], view=4)[0].equal(together[index])


def test_numbers_of_views_may_differ_within_a_batch(split, transform):
    mixed = load_views(split, transform, [2, 2, 5], [0, 1, 1], 0)
    assert mixed[0].equal(_views(split, transform, [2], view=0)[0])
    assert mixed[1].equal(_views(split, transform, [2], view=1)[0])
    assert mixed[2].equal(_views(split, transform, [5], view=1)[0])
    assert not mixed[0].equal(mixed[1])


def test_evaluations_view_may_stand_beside_random_ones(split, transform):
    indices, views = [2, 2, 5, 5, 1], [None, 1, 1, None, 0]
    mixed = load_views(split, transform, indices, views, 0)
    for found, index, view in zip(mixed, indices, views, strict=True):
        assert found.equal(_views(split, transform, [index], view=view)[0])
    assert not mixed[0].equal(mixed[1])


def test_a_view_is_made_of_an_image_at_hand_as_of_one_that_is_loaded(split, transform):
    images = split.load([2, 5, 5])
    digests = [split.digests[index] for index in (2, 5, 5)]
    made = make_views(images, transform, digests, [3, None, 1], 7)
    assert made.equal(load_views(split, transform, [2, 5, 5], [3, None, 1], 7))


def test_a_view_belongs_to_the_content_wherever_it_lies(make_dataset, transform, split):
    content = split.items[7].read()
    moved = make_dataset(spoilt={"train/00.png": content}, train=20)
    other = load_dataset(moved, transform, unreadable="error", workers=0)
    found = _views(other.splits["train"], transform, [0], view=3)
    assert found.equal(_views(split, transform, [7], view=3))


def test_another_seed_gives_other_views(split, transform):
    same = _views(split, transform, range(12)).equal(_views(split, transform, range(12)))
    other = _views(split, transform, range(12)).equal(_views(split, transform, range(12), seed=1))
    assert same
    assert not other


def test_views_leave_the_global_generator_alone(split, transform):
    before = torch.get_rng_state()
    _views(split, transform, range(12))
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize(
    "made",
    [torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 9, dtype=torch.uint8)],
)
def test_a_transform_that_makes_something_else_is_found_out(split, transform, made):
    transform.evaluate = lambda batch: made
    with pytest.raises(PluginError, match="a view is torch"):
        _views(split, transform, [0, 1], view=None)


@pytest.mark.parametrize("view", [None, 0])
@pytest.mark.parametrize("made", [None, [1, 2]])
def test_a_view_that_is_no_tensor_is_found_out(split, transform, made, view):
    transform.evaluate = transform.augment = lambda *arguments: made
    with pytest.raises(PluginError, match=r"breaks its contract: a view is (NoneType|list), no"):
        _views(split, transform, [0, 1], view=view)


def test_which_view_an_epoch_trains_on():
    assert view_of_epoch("none", 0, "digest", 7) is None
    assert view_of_epoch("every-epoch", 0, "digest", 7) == 7
    assert view_of_epoch(1, 0, "digest", 7) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 10])
@pytest.mark.parametrize("first", [0, 7])
def test_of_k_views_each_comes_once_in_k_consecutive_epochs(count, first):
    for number in range(20):
        epochs = range(first, first + count)
        views = [view_of_epoch(count, 3, f"digest {number}", epoch) for epoch in epochs]
        assert sorted(views) == list(range(count))
        following = [view_of_epoch(count, 3, f"digest {number}", e + count) for e in epochs]
        assert following == views


def test_of_k_views_each_is_drawn_about_as_often_in_an_epoch():
    drawn = [view_of_epoch(4, 0, f"digest {n}", 5) for n in range(2000)]
    counts = [drawn.count(view) for view in range(4)]
    assert sum(counts) == 2000
    # Five standard deviations of a fair draw.
    assert all(abs(count - 500) < 97 for count in counts)
    assert drawn != [view_of_epoch(4, 1, f"digest {n}", 5) for n in range(2000)]


def test_a_seed_is_the_same_in_every_process_and_version():
    assert stable_seed("view", 0, "abc", 3) == 6492807587962393547


def test_a_seed_tells_its_parts_apart():
    seeds = [stable_seed("a", 1, 2), stable_seed("a", 12), stable_seed("a", "1", 2)]
    seeds += [stable_seed("a", 2, 1), stable_seed("a,1", 2)]
    assert len(set(seeds)) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
