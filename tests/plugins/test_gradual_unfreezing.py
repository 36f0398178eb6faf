"""The strategy `gradual-unfreezing` as a plan. The contract checks what every strategy promises."""

from dataclasses import replace
from itertools import pairwise

import pytest

from tlf.plugin import Budget, Outline, Plateau, StageOutline
from tlf_builtin.gradual_unfreezing.strategy import GradualUnfreezing, GradualUnfreezingOptions

HEAD = StageOutline(name="head", parameters={"weight": 3, "bias": 1}, flops=1, output_shape=(2,))


def outline(stages):
    body = [
        StageOutline(name=f"s{i}", parameters={"weight": 5, "norm": 2}, flops=1, output_shape=(4,))
        for i in range(stages)
    ]
    return Outline(stages=(*body, HEAD), image_size=32)


def steps(epochs, stages=7, **options):
    strategy = GradualUnfreezing(GradualUnfreezingOptions(**options))
    return strategy.steps(outline(stages), Budget(epochs=epochs))


def test_the_head_learns_first_and_then_more_from_the_top_down():
    found = [(step.name, step.trainable) for step in steps(6, stages=3)]
    assert found == [
        ("head", ("head",)),
        ("thaw-1", ("head", "s2:weight")),
        ("thaw-2", ("head", "s2:weight", "s1:weight")),
        ("thaw-3", ("head", "s2:weight", "s1:weight", "s0:weight")),
    ]


@pytest.mark.parametrize("epochs", range(1, 13))
@pytest.mark.parametrize("stages", [1, 2, 7, 30])
@pytest.mark.parametrize("thaws", [1, 3, 10])
def test_the_budget_is_spent_exactly_and_later_steps_get_no_less(epochs, stages, thaws):
    found = [step.epochs for step in steps(epochs, stages, thaws=thaws)]
    assert sum(found) == epochs
    assert found == sorted(found)
    assert len(found) == min(epochs, 1 + min(thaws, stages))


def test_everything_has_thawed_in_the_end_however_few_epochs_there_are():
    for epochs in (2, 3, 10):
        assert {"s0:weight", "s6:weight"} <= set(steps(epochs)[-1].trainable)
    assert [step.trainable for step in steps(1)] == [("head",)]


def test_depth_says_how_many_stages_thaw():
    assert steps(9, depth=2)[-1].trainable == ("head", "s6:weight", "s5:weight")


def test_rates_fall_with_depth():
    rates = steps(9, stages=3, body_rate=0.2, rate_decay=0.5)[-1].rates
    assert rates == {"head": 1.0, "s2:weight": 0.2, "s1:weight": 0.1, "s0:weight": 0.05}


def test_layer_decay_comes_on_top_of_that():
    rates = steps(9, stages=4, thaws=2, body_rate=0.2, rate_decay=0.1, layer_decay=0.5)[-1].rates
    assert rates == pytest.approx(
        {
            "head": 1.0,
            "s3:weight": 0.2,
            "s2:weight": 0.2 * 0.5,
            "s1:weight": 0.2 * 0.5**2 * 0.1,
            "s0:weight": 0.2 * 0.5**3 * 0.1,
        }
    )


def test_the_heads_multiplier_holds_in_every_step():
    assert [step.rates["head"] for step in steps(9, head_multiplier=0.5)] == [0.5] * 4


def test_a_rate_of_a_stage_never_changes_once_it_has_thawed():
    found = steps(9)
    for earlier, later in pairwise(found):
        assert earlier.rates.items() <= later.rates.items()


def test_normalisations_learn_only_if_asked_to():
    assert not any(name.endswith(":norm") for name in steps(9)[-1].trainable)
    assert "s0:norm" in steps(9, norms="learn")[-1].trainable


def test_steps_that_wait_for_a_plateau_are_the_same_steps_and_are_undone_if_they_do_not_pay():
    even, waiting = steps(9), steps(9, advance="on-plateau", patience=2)
    assert {step.until for step in waiting} == {Plateau(patience=2)}
    assert {step.on_no_gain for step in waiting} == {"undo"}
    assert [replace(step, until=None, on_no_gain="keep") for step in waiting] == even
