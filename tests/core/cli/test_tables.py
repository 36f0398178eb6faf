import pytest

from tlf.cli.tables import interval, percent, seconds


@pytest.mark.parametrize(("share", "words"), [(None, "–"), (0.0, "0.0%"), (0.9567, "95.7%")])
def test_a_share_is_shown_as_a_percentage(share, words):
    assert percent(share) == words


@pytest.mark.parametrize(("bounds", "words"), [(None, "–"), ((0.9, 0.985), "90.0% to 98.5%")])
def test_an_interval_is_shown_as_percentages(bounds, words):
    assert interval(bounds) == words


@pytest.mark.parametrize(
    ("duration", "words"),
    [(None, "–"), (0.04, "0.0 s"), (119.94, "119.9 s"), (125.9, "2 min 5 s"), (7260, "2 h 1 min")],
)
def test_a_duration_is_shown_in_units_that_fit(duration, words):
    assert seconds(duration) == words
