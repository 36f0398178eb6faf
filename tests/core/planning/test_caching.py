"""What is worth keeping, decided by numbers alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlf.planning import Costs, StepCache, Usage, decide_cache
from tlf.planning.caching import AHEAD_VIEWS, KEEPING_SHARE

#: A network of four stages whose last returns pooled features, on a slow processor.
COSTS = Costs(
    decode=5e-3,
    view=1e-3,
    stages=(10e-3, 10e-3, 10e-3, 5e-3),
    row_bytes=(800_000, 400_000, 100_000, 5_000),
    decoded_bytes=200_000,
    measured=True,
)
LARGE = 10**12


def usage(frozen=4, *, epochs=10, train=1000, views=1, evaluated=200, once=0):
    return Usage(frozen, epochs, train, views, evaluated, once)


def decide(*usages, costs=COSTS, budget=LARGE, shared_views=True, stored=None):
    return decide_cache(usages, costs, budget=budget, shared_views=shared_views, stored=stored)


def test_a_usage_counts_images_their_views_and_how_often_they_are_looked_at():
    one = usage(epochs=10, train=1000, views=3, evaluated=200, once=50)
    assert (one.images, one.rows, one.uses) == (1250, 3250, 12_050)
    assert one.late == 0
    assert usage(views=AHEAD_VIEWS + 2).late == 2000


def test_a_step_that_trains_the_head_alone_keeps_what_the_whole_backbone_makes():
    (kept,) = decide(usage())
    assert (kept.level, kept.cut, kept.decoded) == ("features", 4, False)
    assert kept.bytes == 1200 * 5_000
    assert kept.seconds_without == pytest.approx(12_000 * (5e-3 + 1e-3 + 35e-3))
    assert kept.seconds < kept.seconds_without / 9
    assert "1,200 views" in kept.why


def test_views_that_are_used_once_are_kept_for_later_runs_where_that_costs_little():
    (kept,) = decide(usage(epochs=1, evaluated=0))
    assert (kept.level, kept.cut) == ("features", 4)
    assert kept.bytes == 1000 * 5_000
    assert kept.seconds_without <= kept.seconds <= kept.seconds_without * (1 + KEEPING_SHARE)
    assert "later runs" in kept.why


def test_what_takes_longer_to_keep_than_to_compute_is_not_kept():
    heavy = replace(COSTS, row_bytes=(10**9,) * 4, decode=1e-5)
    (kept,) = decide(usage(epochs=1, evaluated=0), costs=heavy)
    assert (kept.level, kept.cut) == ("none", 0)
    assert kept.seconds == kept.seconds_without
    assert "longer than computing it" in kept.why


@pytest.mark.parametrize("budget", [0, 1200 * 5_000 - 1])
def test_where_the_budget_is_too_small_nothing_is_kept_and_that_is_the_reason(budget):
    (kept,) = decide(usage(), budget=budget)
    assert (kept.level, kept.cut, kept.bytes, kept.decoded) == ("none", 0, 0, False)
    assert kept.seconds == kept.seconds_without > 0
    assert "`cache.max_gb`" in kept.why


def test_what_just_fits_is_kept():
    (kept,) = decide(usage(), budget=1200 * 5_000)
    assert (kept.level, kept.bytes) == ("features", 1200 * 5_000)


def test_where_the_last_stage_makes_much_of_little_the_cut_lies_before_it():
    swelling = replace(
        COSTS, stages=(10e-3, 10e-3, 10e-3, 1e-6), row_bytes=(800_000, 400_000, 5_000, 900_000)
    )
    (kept,) = decide(usage(), costs=swelling)
    assert (kept.level, kept.cut) == ("features", 3)
    dear = replace(swelling, stages=(10e-3, 10e-3, 10e-3, 1.0))
    assert decide(usage(), costs=dear)[0].cut == 4
    # Then what fits is better than nothing.
    (less,) = decide(usage(), costs=dear, budget=1200 * 5_000)
    assert (less.level, less.cut) == ("features", 3)


def test_the_cut_lies_within_what_is_frozen():
    for frozen in (1, 2, 3):
        (kept,) = decide(usage(frozen, epochs=50))
        assert (kept.level, kept.cut) == ("features", frozen)


def test_where_nothing_is_frozen_decoded_images_are_kept_if_decoding_is_dear():
    (kept,) = decide(usage(frozen=0))
    assert (kept.level, kept.cut, kept.decoded) == ("decoded", 0, True)
    assert kept.bytes == 1200 * 200_000
    assert kept.seconds < kept.seconds_without
    assert "nothing is frozen" in kept.why
    assert "decoded once" in kept.why


def test_where_nothing_is_frozen_and_decoding_is_cheap_nothing_is_kept():
    (kept,) = decide(usage(frozen=0), costs=replace(COSTS, decode=1e-5))
    assert (kept.level, kept.bytes, kept.decoded) == ("none", 0, False)
    assert kept.seconds == kept.seconds_without
    assert kept.why == "nothing is frozen"


def test_a_single_look_at_the_images_is_not_worth_keeping_them():
    slow_disk = replace(COSTS, decode=0.5e-3)
    assert decide(usage(frozen=0, epochs=1), costs=slow_disk)[0].level == "none"
    assert decide(usage(frozen=0, epochs=50), costs=slow_disk)[0].level == "decoded"


def test_decoded_images_that_would_not_fit_are_not_kept():
    (kept,) = decide(usage(frozen=0), budget=1200 * 200_000 - 1)
    assert (kept.level, kept.bytes) == ("none", 0)


def test_features_come_first_and_decoded_images_take_what_is_left():
    head, whole = usage(4), usage(0)
    features = 1200 * 5_000
    images = 1200 * 200_000
    both = decide(head, whole, budget=features + images)
    assert [one.level for one in both] == ["features", "decoded"]
    assert [one.bytes for one in both] == [features, images]
    less = decide(head, whole, budget=features + images - 1)
    assert [one.level for one in less] == ["features", "none"]


def test_views_that_come_late_in_the_run_are_made_of_images_that_are_decoded_once():
    epochs = AHEAD_VIEWS + 20
    (kept,) = decide(usage(epochs=epochs, views=epochs))
    assert (kept.level, kept.decoded) == ("features", True)
    assert kept.bytes == (1000 * epochs + 200) * 5_000 + 1200 * 200_000
    (early,) = decide(usage(epochs=epochs, views=AHEAD_VIEWS))
    assert not early.decoded


def test_a_pass_that_is_made_anyway_is_paid_for_once():
    steps = (usage(4), usage(2))
    first, second = decide(*steps, shared_views=True)
    (alone,) = decide(usage(2))
    assert (first.level, second.level) == ("features", "features")
    assert second.seconds < alone.seconds
    assert second.seconds < decide(*steps, shared_views=False)[1].seconds
    assert second.seconds_without == alone.seconds_without


def test_more_epochs_never_make_it_less_worth_keeping():
    levels = [decide(usage(epochs=epochs))[0].level for epochs in range(1, 60)]
    assert set(levels) == {"features"}
    images = [decide(usage(frozen=0, epochs=epochs))[0].level for epochs in range(1, 60)]
    assert sorted(images, key=["none", "decoded"].index) == images


def test_where_a_step_is_not_asked_nothing_is_said():
    assert decide() == ()
    assert StepCache() == StepCache("none", cut=0, bytes=0, decoded=False, why="")


SECONDS = st.floats(1e-6, 1.0)
BYTES = st.integers(1, 10**8)
COUNTS = st.integers(0, 5000)


@st.composite
def any_costs(draw):
    return Costs(
        decode=draw(SECONDS),
        view=draw(SECONDS),
        stages=tuple(draw(st.lists(SECONDS, min_size=4, max_size=4))),
        row_bytes=tuple(draw(st.lists(BYTES, min_size=4, max_size=4))),
        decoded_bytes=draw(BYTES),
        measured=draw(st.booleans()),
    )


@st.composite
def any_usage(draw):
    epochs = draw(st.integers(1, 50))
    return Usage(
        frozen=draw(st.integers(0, 4)),
        epochs=epochs,
        train=draw(st.integers(1, 5000)),
        views=draw(st.integers(1, epochs)),
        evaluated=draw(st.integers(1, 5000)),
        once=draw(COUNTS),
    )


@given(
    costs=any_costs(),
    usages=st.lists(any_usage(), min_size=1, max_size=4),
    budget=st.integers(0, 10**12),
    shared_views=st.booleans(),
)
def test_whatever_things_cost_a_decision_keeps_to_the_budget_and_to_what_is_frozen(
    costs, usages, budget, shared_views
):
    decided = decide(*usages, costs=costs, budget=budget, shared_views=shared_views)
    again = decide(*usages, costs=costs, budget=budget, shared_views=shared_views)
    assert decided == again
    assert len(decided) == len(usages)
    features = 0
    images = set()
    for one, kept in zip(usages, decided, strict=True):
        rows = one.rows * costs.row_bytes[kept.cut - 1] if kept.level == "features" else 0
        features += rows
        images.add(kept.bytes - rows)
        if kept.level == "features":
            assert 1 <= kept.cut <= one.frozen
            assert kept.seconds <= kept.seconds_without * (1 + KEEPING_SHARE) + 1e-9
        else:
            assert kept.cut == 0
        if kept.level == "none":
            assert (kept.bytes, kept.decoded) == (0, False)
            assert kept.seconds == kept.seconds_without
        if kept.level == "decoded":
            assert kept.decoded
        assert (kept.bytes > rows) == kept.decoded
        assert kept.why
    # All steps share the decoded images.
    assert len(images - {0}) <= 1
    assert features + max(images) <= budget


def test_of_two_cuts_that_are_as_good_the_one_that_is_filled_is_taken():
    """Whichever of them the noise of a measurement makes the better one."""
    for quick in (0.9, 1.1):
        stages = (10e-3, 10e-3, 1e-4, 1e-4 * quick)
        costs = replace(COSTS, stages=stages, row_bytes=(800_000, 400_000, 5_000, 5_000))
        usages = usage(epochs=2, views=2)
        for cut in (3, 4):
            (kept,) = decide(usages, costs=costs, stored={cut: 1.0})
            assert kept.cut == cut
            assert kept.seconds < 0.1 * decide(usages, costs=costs)[0].seconds


def test_what_is_stored_counts_as_far_as_it_goes():
    (nothing,) = decide(usage(), stored={4: 0.0})
    assert decide(usage()) == (nothing,)
    (half,) = decide(usage(), stored={4: 0.5})
    (all_of_it,) = decide(usage(), stored={4: 1.0})
    assert half.seconds == pytest.approx((nothing.seconds + all_of_it.seconds) / 2)
    # A little at a worse cut is no reason to go on there.
    (kept,) = decide(usage(), stored={1: 0.1})
    assert kept.cut == 4


def test_where_all_is_stored_there_is_no_pass_that_would_serve_a_later_step():
    first, second = decide(usage(4), usage(3), stored={4: 1.0})
    (alone,) = decide(usage(3))
    assert (first.cut, second.cut) == (4, 3)
    assert second.seconds == alone.seconds
