"""What several tests come to together."""

import json

import pytest

from tlf.engine.learning_rates import (
    LearningRates,
    MeasuredRate,
    Repeat,
    StepRates,
    distinct_rates,
    two_digits,
)
from tlf.engine.rate_rules import Curve, Reading

CURVE = Curve((1e-3, 1e-2), (1.0, 0.5))


def measured(*rates, limit=None):
    repeats = tuple(
        Repeat(seed, CURVE, Reading((1.0, 0.5), 1.0, rate is None, rate, rate, limit), rate)
        for seed, rate in enumerate(rates)
    )
    return MeasuredRate((), 2e-3, repeats)


def found(*steps):
    """The rates of a run; each step is its epochs and its measured rate, or the kind of it."""
    made = [
        StepRates(f"s{number}", "train", epochs, one)
        if isinstance(one, MeasuredRate)
        else StepRates(f"s{number}", one, epochs)
        for number, (epochs, one) in enumerate(steps)
    ]
    return LearningRates("run", 2e-3, tuple(made))


def test_the_rate_is_the_median_and_the_interval_that_of_all_repeats():
    one = measured(1.04e-3, 4e-3, 2.04e-3)
    assert (one.rate, one.interval, one.verdict, one.note) == (2e-3, (1.04e-3, 4e-3), "rate", "")


def test_of_two_repeats_it_is_the_one_in_the_middle_of_their_decades():
    assert measured(1e-3, 4e-3).rate == 2e-3


def test_one_flat_repeat_of_three_is_said_and_most_of_them_flat_are_nothing_to_choose():
    assert measured(1e-3, None, 2e-3).note == "1 of 3 repeats were flat"
    flat = measured(None, 1e-3, None, limit=0.5)
    assert (flat.rate, flat.interval, flat.verdict) == (None, None, "flat")
    assert "nothing to choose" in flat.note
    assert "lost above 5.0e-01" in flat.note


def test_a_factor_of_ten_between_repeats_is_no_measurement():
    assert measured(1e-3, 9e-3, 2e-3).verdict == "rate"
    wild = measured(1e-3, 1e-2, 2e-3)
    assert wild.verdict == "disagree"
    assert "disagree by a factor of 10: this is no measurement" in wild.note
    rates = found((10, wild))
    assert rates.learning_rate is None
    assert rates.why == "none: the repeats of step s0 disagree by a factor of 10 or more"


def test_the_only_step_that_trains_gives_the_rate():
    rates = found((0, "lbfgs"), (10, measured(3e-3, limit=1e-3)), (0, "combine"))
    assert rates.learning_rate == 3e-3
    assert rates.why == "of step s1, the only one that trains"
    assert [step.note.partition(":")[0] for step in rates.steps] == [
        "nothing to tune",
        "",
        "nothing to tune",
    ]


def test_of_several_steps_each_counts_by_its_epochs():
    rates = found((1, measured(1e-1)), (3, measured(1e-3)))
    # (1 · -1 + 3 · -3) / 4 = -2.5
    assert rates.learning_rate == two_digits(10**-2.5)
    assert "weighted by their epochs" in rates.why


def test_no_step_gets_more_than_a_tenth_of_where_it_diverges():
    rates = found((1, measured(1e-1)), (3, measured(1e-3, limit=2e-2)))
    assert rates.learning_rate == 2e-3


def test_a_flat_step_has_no_say_in_the_rate_but_in_how_high_it_may_be():
    assert found((9, measured(None)), (1, measured(1e-2))).learning_rate == 1e-2
    assert found((9, measured(None, limit=1e-2)), (1, measured(1e-2))).learning_rate == 1e-3
    none = found((9, measured(None)), (1, measured(None)))
    assert (none.learning_rate, none.why) == (None, "none: every curve is flat")


def test_a_plan_without_training_has_nothing_to_tune():
    rates = found((0, "knn"))
    assert rates.tested == ()
    assert rates.learning_rate is None
    assert rates.why.startswith("nothing to tune")


def test_it_is_plain_data_with_the_curves():
    data = json.loads(json.dumps(found((0, "lbfgs"), (2, measured(1e-3))).as_json()))
    assert data["learning_rate"] == 1e-3
    assert data["steps"][0]["together"] is None
    (repeat,) = data["steps"][1]["together"]["repeats"]
    assert repeat["curve"]["losses"] == [1.0, 0.5]


def test_groups_of_one_rate_belong_together():
    assert distinct_rates([("a:weight", 0.1), ("a:bias", 0.1), ("head:weight", 1.0)]) == {
        0.1: ("a:weight", "a:bias"),
        1.0: ("head:weight",),
    }


@pytest.mark.parametrize(("rate", "rounded"), [(0.0013664, 0.0014), (9.97e-4, 1e-3)])
def test_a_rate_has_two_digits(rate, rounded):
    assert two_digits(rate) == rounded
