"""What a curve says: curves that are made up, so that it is known."""

import math

import numpy as np
import pytest

from tlf.engine.rate_rules import Curve, geometric, pick_rate, read, smoothed

RATES = geometric(1e-5, 10.0, 61)


def curve(of, *, noise=0.0, ending="complete", rates=RATES, seed=0):
    """A curve of a function of the decade, with noise on it."""
    drawn = np.random.default_rng(seed).normal(size=len(rates)) * noise
    losses = [of(math.log10(rate)) + extra for rate, extra in zip(rates, drawn, strict=True)]
    return Curve(tuple(rates), tuple(losses), ending)


def valley(decade):
    """Falls around 10^-3, is lowest at 10^-2, and rises around 10^-1."""
    return 1 - 0.8 / (1 + math.exp(-5 * (decade + 3))) + 3 / (1 + math.exp(-5 * (decade + 0.5)))


def decade(rate):
    return math.log10(rate)


def test_rates_rise_by_the_same_factor():
    rates = geometric(1e-3, 10.0, 5)
    assert rates == pytest.approx([1e-3, 1e-2, 1e-1, 1.0, 10.0])
    assert rates[-1] == 10.0


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_valley_is_read_where_it_is(noise):
    found = read(curve(valley, noise=noise))
    assert not found.is_flat
    assert decade(found.steepest) == pytest.approx(-3, abs=0.25)
    assert -2.6 < decade(found.lowest) < -1.2
    # 0.2 + 3 / (1 + e^-5(d + 0.5)) comes to 1.05 at -0.69.
    assert decade(found.limit) == pytest.approx(-0.69, abs=0.3)
    assert found.steepest < pick_rate(found) < found.lowest
    assert pick_rate(found) == pytest.approx(math.sqrt(found.steepest * found.lowest))


def test_the_smoothing_leans_to_neither_side():
    step = np.where(np.arange(41) < 20, 1.0, 0.0)
    found = smoothed(step, 2.0)
    assert found[:20] == pytest.approx(1 - found[:19:-1][1:], abs=1e-6)
    assert smoothed(np.ones(5), 2.0) == pytest.approx(np.ones(5))


def test_a_rate_of_fewer_batches_is_about_the_same():
    fewer = geometric(1e-5, 10.0, 20)
    found = read(curve(valley, rates=fewer))
    assert decade(found.steepest) == pytest.approx(-3, abs=0.35)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_a_curve_that_only_chance_moves_is_flat(noise):
    found = read(curve(lambda _: 0.7, noise=noise))
    assert found.is_flat
    assert (found.steepest, found.lowest, found.limit) == (None, None, None)
    assert pick_rate(found) is None


def test_chance_alone_is_seldom_taken_for_a_fall():
    mistaken = [not read(curve(lambda _: 0.7, noise=0.2, seed=seed)).is_flat for seed in range(200)]
    assert sum(mistaken) <= 6


def test_a_curve_that_only_rises_is_flat_and_has_a_limit():
    found = read(curve(lambda at: 0.2 + 3 / (1 + math.exp(-5 * (at + 1)))))
    assert found.is_flat
    assert -2.5 < decade(found.limit) < -1


def test_what_explodes_is_not_seen_to_the_left_of_where_it_does():
    calm = curve(valley).losses[:35]
    exploded = Curve(RATES[:36], (*calm, 1e6), "diverged")
    assert read(exploded).steepest == read(curve(valley)).steepest
    assert read(exploded).lowest <= RATES[34]


def test_a_test_that_ends_in_no_number_has_its_end_as_the_limit():
    found = read(Curve(RATES[:30], curve(valley).losses[:30], "not finite"))
    assert found.limit == RATES[29]


def test_a_rate_stays_a_decade_below_the_limit():
    # Falls at 10^-3 and is lost right behind.
    steep = curve(lambda at: 1 - 0.8 * (-3.2 < at < -2.6) + 2 * (at >= -2.6))
    found = read(steep)
    assert math.sqrt(found.steepest * found.lowest) > found.limit / 10
    assert pick_rate(found) == found.limit / 10
