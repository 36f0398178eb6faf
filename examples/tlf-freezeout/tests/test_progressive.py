from itertools import pairwise

import pytest
from tlf.plugin import Budget, Outline, StageOutline

from tlf_freezeout.strategy import Progressive, ProgressiveOptions


def network(stages):
    """Return a network whose every stage has a weight and a norm."""
    body = [
        StageOutline(f"blocks.{n}", {"weight": 10, "norm": 2}, flops=20, output_shape=(8, 4, 4))
        for n in range(stages)
    ]
    head = StageOutline("head", {"weight": 8, "bias": 2}, flops=16, output_shape=(2,))
    return Outline((*body, head), image_size=32)


def plan(epochs, stages=5, **options):
    strategy = Progressive(ProgressiveOptions(**options))
    return strategy.steps(network(stages), Budget(epochs=epochs, images=100))


def ends(epochs, stages=5, **options):
    """Return after how many epochs something is frozen."""
    return [
        sum(step.epochs for step in plan(epochs, stages, **options)[:count])
        for count in range(1, len(plan(epochs, stages, **options)))
    ]


def test_everything_but_norms_learns_at_first():
    first = plan(20, stages=3)[0]
    assert first.trainable == ("blocks.0:weight", "blocks.1:weight", "blocks.2:weight", "head")


@pytest.mark.parametrize("schedule", ["cubic", "linear"])
@pytest.mark.parametrize("first", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("stages", [1, 2, 5, 60])
@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 500])
def test_the_budget_is_spent_exactly(epochs, stages, first, schedule):
    steps = plan(epochs, stages, first=first, schedule=schedule)
    assert sum(step.epochs for step in steps) == epochs
    assert all(step.epochs >= 1 for step in steps)


@pytest.mark.parametrize("epochs", [2, 7, 100])
def test_stages_are_frozen_for_good_from_the_bottom_up(epochs):
    steps = plan(epochs, stages=12)
    for before, after in pairwise(steps):
        assert len(after.trainable) < len(before.trainable)
        assert after.trainable == before.trainable[-len(after.trainable) :]


def test_the_highest_stage_and_the_head_are_left_in_the_end():
    assert plan(20)[-1].trainable == ("blocks.4:weight", "head")
    assert plan(20, stages=1)[-1].trainable == ("blocks.0:weight", "head")


def test_linear_freezes_at_equal_distances():
    assert ends(100, first=0.6, schedule="linear") == [60, 70, 80, 90]


def test_cubic_freezes_first_at_the_same_time_and_the_others_earlier():
    # The cube roots of the shares are 0.8, 0.85, 0.9 and 0.95.
    assert ends(1000, first=0.8**3, schedule="cubic") == [512, 614, 729, 857]
    assert ends(1000, first=0.8**3, schedule="linear") == [512, 634, 756, 878]


def test_stages_are_frozen_together_where_epochs_are_few():
    learning = [len(step.trainable) - 1 for step in plan(4, stages=30, schedule="linear")]
    assert learning == [30, 22, 8]


def test_one_epoch_is_one_step():
    (step,) = plan(1)
    assert step.name == "all"


def test_nothing_is_frozen_if_the_first_share_is_everything():
    assert len(plan(50, first=1.0)) == 1


def test_the_backbone_learns_at_its_own_rate_throughout():
    for step in plan(20, stages=3, body_rate=0.5):
        assert step.rates == {name: 0.5 for name in step.trainable if name != "head"}
