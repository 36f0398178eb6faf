"""Intervals and tests over seeds and images, beside what is known by other means."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from tlf.engine.comparing.statistics import Estimate, _equal, adjust, estimate, judge, ranks


def drawn(generator, accuracy, seeds=5, images=300, *, difficulty, own=0.2, seed_effect=0.05):
    """Draw which images runs get right: some are hard for all strategies, some for one."""
    rest = 1 - 0.5 - own
    latent = (
        stats.norm.ppf(accuracy) * np.sqrt(1 + seed_effect**2)
        + np.sqrt(0.5) * difficulty
        + np.sqrt(own) * generator.normal(size=(1, images))
        + seed_effect * generator.normal(size=(seeds, 1))
        + np.sqrt(rest) * generator.normal(size=(seeds, images))
    )
    return (latent > 0).astype(float)


def test_with_one_seed_it_is_students_interval_over_the_images():
    values = np.random.default_rng(0).normal(size=(1, 40))
    found = estimate(values)
    wanted = stats.ttest_1samp(values[0], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_with_one_image_it_is_students_interval_over_the_seeds():
    values = np.random.default_rng(0).normal(size=(7, 1))
    found = estimate(values)
    wanted = stats.ttest_1samp(values[:, 0], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_where_all_seeds_agree_it_is_the_interval_over_the_images():
    row = np.random.default_rng(0).normal(size=(1, 40))
    wanted, found = estimate(row), estimate(np.repeat(row, 4, axis=0))
    assert found.standard_error == pytest.approx(wanted.standard_error)
    assert found.degrees_of_freedom == pytest.approx(39)


def test_where_all_images_agree_it_is_the_interval_over_the_seeds():
    column = np.random.default_rng(0).normal(size=(6, 1))
    wanted, found = estimate(column), estimate(np.repeat(column, 50, axis=1))
    assert found.standard_error == pytest.approx(wanted.standard_error)
    assert found.degrees_of_freedom == pytest.approx(5)


def test_both_kinds_of_chance_add_up():
    """Effects that are known: two seeds, two images, and nothing besides."""
    values = np.array([[0.0, 2.0], [4.0, 6.0]])
    found = estimate(values)
    # MS_seed = 2 * (2^2 + 2^2), MS_image = 2 * (1^2 + 1^2), MS_rest = 0; over S N = 4.
    assert found.standard_error == pytest.approx(np.sqrt((16 + 4) / 4))
    assert found.degrees_of_freedom == pytest.approx(20**2 / (16**2 + 4**2))
    assert found.mean == 3.0


def test_where_nothing_differs_the_interval_is_the_mean():
    found = estimate(np.ones((3, 10)))
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("shape", [(0, 0), (1, 1)])
def test_of_a_single_outcome_nothing_can_be_said(shape):
    with pytest.raises(ValueError, match="nothing can be said"):
        estimate(np.zeros(shape))


def test_holms_adjustment_is_as_in_a_worked_example():
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2 (not below the one before), 0.5.
    assert adjust([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert adjust([]) == []
    assert adjust([0.9, 0.8]) == [1.0, 1.0]


def test_shaffers_adjustment_counts_the_pairs_that_can_still_be_equal():
    # Of the six pairs of four rows: six, then three (one row differs), three, three, two, one.
    values = [0.001, 0.01, 0.02, 0.03, 0.2, 0.4]
    wanted = [0.006, 0.03, 0.06, 0.09, 0.4, 0.4]
    assert adjust(values, rows=4) == pytest.approx(wanted)
    # Of three pairs of three rows, once one differs, a single one can be equal.
    assert adjust([0.01, 0.02, 0.04], rows=3) == pytest.approx([0.03, 0.03, 0.04])
    # Pairs are missing: nothing is known of which could be equal.
    assert adjust(values[:5], rows=4) == adjust(values[:5])


@pytest.mark.parametrize("rows", [2, 3, 4, 5, 6])
def test_how_many_pairs_can_be_equal_is_what_all_ways_to_group_rows_give(rows):
    found = set()
    for groups in product(range(rows), repeat=rows):
        found.add(sum(one == other for one, other in combinations(groups, 2)))
    assert _equal(rows) == found


def judged(outcomes):
    """Every pair of rows with what can be said of their difference."""
    pairs = list(combinations(outcomes, 2))
    verdicts = judge([outcomes[one] - outcomes[other] for one, other in pairs], rows=len(outcomes))
    return dict(zip(pairs, verdicts, strict=True))


def test_equal_outcomes_cannot_be_told_apart():
    values = np.random.default_rng(0).integers(0, 2, (3, 20)).astype(float)
    (found,) = judge([values - values])
    assert found.p_value == 1.0
    assert not found.is_real


def test_a_difference_without_any_chance_in_it_is_real():
    (found,) = judge([np.ones((3, 20))])
    assert found.p_value == pytest.approx(2 ** (1 - 20))
    assert found.is_real


def test_no_difference_has_more_degrees_of_freedom_than_all_of_them_together():
    generator = np.random.default_rng(4)
    agreeing = generator.normal(size=(1, 50)) + 0.1 * generator.normal(size=(3, 50))
    apart = agreeing + np.array([[-1.0], [0.0], [1.0]])
    own = estimate(agreeing)
    together, other = (one.estimate for one in judge([agreeing, apart]))
    assert (together.mean, together.standard_error) == (own.mean, own.standard_error)
    assert estimate(apart).degrees_of_freedom <= together.degrees_of_freedom
    assert together.degrees_of_freedom < own.degrees_of_freedom / 5
    assert other == estimate(apart)


def test_p_values_are_adjusted_for_all_that_are_looked_at_together():
    values = np.random.default_rng(3).normal(0.2, 1, (1, 60))
    (alone,) = judge([values])
    assert alone.p_value == pytest.approx(stats.ttest_1samp(values[0], 0).pvalue)
    together = judge([values, np.zeros((1, 60)), np.zeros((1, 60))])
    assert together[0].p_value == pytest.approx(3 * alone.p_value)


def test_a_rank_counts_those_that_are_really_better():
    generator = np.random.default_rng(0)
    difficulty = generator.normal(size=(1, 400))
    outcomes = {
        name: drawn(generator, accuracy, images=400, difficulty=difficulty)
        for name, accuracy in (("low", 0.6), ("high", 0.93), ("same", 0.93), ("middle", 0.8))
    }
    real = {pair: one.estimate.mean for pair, one in judged(outcomes).items() if one.is_real}
    better = [pair if mean > 0 else pair[::-1] for pair, mean in real.items()]
    assert ranks(outcomes, better) == {"high": 1, "same": 1, "middle": 3, "low": 4}


def test_intervals_cover_the_truth_and_false_calls_are_rare():
    """A small simulation; the large one is a benchmark."""
    generator = np.random.default_rng(1)
    truth, rounds = 0.9, 300
    covered = calls = 0
    for _ in range(rounds):
        difficulty = generator.normal(size=(1, 300))
        outcomes = {name: drawn(generator, truth, difficulty=difficulty) for name in "abcd"}
        found = estimate(outcomes["a"])
        assert isinstance(found, Estimate)
        covered += found.low <= truth <= found.high
        calls += any(one.is_real for one in judged(outcomes).values())
    assert 0.91 <= covered / rounds <= 0.98
    assert calls / rounds <= 0.05


def test_false_calls_stay_rare_where_few_seeds_go_far_apart():
    generator = np.random.default_rng(5)
    calls = 0
    for _ in range(300):
        difficulty = generator.normal(size=(1, 300))
        outcomes = {
            name: drawn(generator, 0.9, seeds=3, difficulty=difficulty, seed_effect=0.1)
            for name in "abcd"
        }
        calls += any(one.is_real for one in judged(outcomes).values())
    assert calls / 300 <= 0.05


def test_a_planted_difference_is_found():
    generator = np.random.default_rng(2)
    found = 0
    for _ in range(100):
        difficulty = generator.normal(size=(1, 500))
        outcomes = {
            name: drawn(generator, accuracy, images=500, difficulty=difficulty, seed_effect=0.03)
            for name, accuracy in (("a", 0.85), ("b", 0.90))
        }
        (one,) = judged(outcomes).values()
        found += one.is_real and one.estimate.mean < 0
    assert found >= 80
