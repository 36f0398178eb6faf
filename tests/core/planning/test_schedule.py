import math

import pytest

from tlf.planning import rate_factor


def test_warmup_rises_in_a_straight_line_to_the_peak():
    assert rate_factor("cosine", 0.1, 0.0) == 0.0
    assert rate_factor("cosine", 0.1, 0.05) == pytest.approx(0.5)
    assert rate_factor("cosine", 0.1, 0.1) == 1.0


def test_the_cosine_falls_to_zero_as_half_a_period():
    for progress in (0.2, 0.55, 0.9):
        expected = (1 + math.cos(math.pi * (progress - 0.1) / 0.9)) / 2
        assert rate_factor("cosine", 0.1, progress) == pytest.approx(expected)


def test_the_linear_schedule_falls_by_equal_amounts():
    values = [rate_factor("linear", 0.0, progress) for progress in (0.0, 0.25, 0.5, 0.75)]
    assert values == pytest.approx([1.0, 0.75, 0.5, 0.25])


def test_the_constant_schedule_stays_at_the_peak_after_the_warmup():
    assert rate_factor("constant", 0.5, 0.25) == 0.5
    assert rate_factor("constant", 0.5, 0.99) == 1.0


def test_the_slanted_triangle_is_the_papers_formula():
    """Howard and Ruder's equation 3, with their names."""
    total, cut_frac, ratio = 200, 0.1, 32
    cut = math.floor(total * cut_frac)
    for t in range(total):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        expected = (1 + p * (ratio - 1)) / ratio
        assert rate_factor("slanted-triangular", cut_frac, t / total) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant", "slanted-triangular"])
def test_a_factor_is_never_outside_0_to_1(schedule):
    for tick in range(1000):
        assert 0.0 <= rate_factor(schedule, 0.13, tick / 1000) <= 1.0
