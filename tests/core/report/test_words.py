"""Numbers for people."""

import math

import pytest

from tlf.report import words
from tlf.report.classes import wilson


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0.00 s"),
        (3.456, "3.46 s"),
        (37.44, "37.4 s"),
        (59.96, "1 min 0 s"),
        (98.3, "1 min 38 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (400_000, "111 h 7 min"),
    ],
)
def test_durations_are_said_as_one_would_say_them(value, said):
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0, "0 bytes"), (999, "999 bytes"), (76_800, "76.8 kB"), (6_638_080, "6.6 MB"),
     (1_159_049_216, "1.2 GB")],
)  # fmt: skip
def test_sizes_are_said_in_decimal_units(value, said):
    assert words.size(value) == said


def test_shares_have_one_decimal_and_differences_a_sign():
    assert words.percent(0.9542) == "95.4%"
    assert words.points(-0.012) == "−1.2"
    assert words.points_interval((-0.01, 0.02)) == "−1.0 to +2.0"
    assert words.percent(math.inf) == words.NOTHING


def test_metrics_are_said_as_what_they_are():
    assert words.metric("top-5-accuracy", 0.998) == "99.8%"
    assert words.metric("loss", 0.86637) == "0.866"
    assert words.metric_name("macro-f1") == "macro F1"
    assert words.metric_title("macro-f1") == "Macro F1"


def test_a_small_change_is_not_said_to_be_nothing():
    assert [words.change(value) for value in (0.0, 0.00002, 0.0046, 0.62)] == [
        "0.00%", "< 0.01%", "0.46%", "62.0%",
    ]  # fmt: skip


def test_long_names_are_shortened_in_the_middle():
    assert words.short("feature-extraction") == "feature-extraction"
    short = words.short("a" * 30 + "z" * 30)
    assert len(short) == 22
    assert short.endswith("…zzzzzz")


def test_one_thing_is_not_said_in_the_plural():
    assert [words.counted(n, "class", "classes") for n in (0, 1, 2)] == [
        "0 classes", "1 class", "2 classes",
    ]  # fmt: skip


def test_lists_are_said_with_an_and():
    assert [words.joined(list(text)) for text in ("", "a", "ab", "abc")] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip


@pytest.mark.parametrize(("share", "number"), [(0.0, 1), (0.9, 153), (1.0, 40)])
def test_the_interval_of_a_share_is_scipys(share, number):
    from scipy.stats import binomtest

    expected = binomtest(round(share * number), number).proportion_ci(method="wilson")
    assert wilson(round(share * number) / number, number) == pytest.approx(expected, abs=1e-6)
