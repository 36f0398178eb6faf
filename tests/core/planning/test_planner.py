import pytest

from tlf.planning import check_steps, plan_steps
from tlf.plugin import HEAD, Budget, Outline, Solve, StageOutline, Train


@pytest.fixture
def outline():
    return Outline(
        (
            StageOutline("stem", {"weight": 100, "norm": 8}, 1000, (4, 16, 16)),
            StageOutline("pool", {}, 10, (4, 8, 8)),
            StageOutline("top", {"weight": 50, "bias": 5}, 500, (5,)),
            StageOutline(HEAD, {"weight": 10, "bias": 2}, 20, (2,)),
        ),
        image_size=16,
    )


def test_a_stage_name_means_all_of_its_groups(outline):
    assert outline.expand(["top", "stem:norm"]) == ("stem:norm", "top:weight", "top:bias")


def test_groups_keep_the_order_of_the_network_whatever_the_order_of_the_names(outline):
    assert outline.expand([HEAD, "stem"]) == outline.expand(["stem", HEAD])


def test_every_parameter_is_counted_once_as_trainable_or_frozen(outline):
    step = Train(name="some", trainable=("top:bias", HEAD), epochs=3)
    (planned,) = plan_steps([step], outline, Budget(3), 0.1)
    assert planned.trainable_parameters == 5 + 12
    assert planned.trainable_parameters + planned.frozen_parameters == 175


def test_a_groups_own_rate_goes_before_its_stages(outline):
    step = Train(
        name="all",
        trainable=("stem", "top"),
        epochs=1,
        rates={"stem": 0.1, "stem:norm": 0.5},
    )
    (planned,) = plan_steps([step], outline, Budget(1), 2.0)
    assert planned.rates == {
        "stem:weight": pytest.approx(0.2),
        "stem:norm": pytest.approx(1.0),
        "top:weight": 2.0,
        "top:bias": 2.0,
    }


@pytest.mark.parametrize(
    ("trainable", "frozen_stages"),
    [((HEAD,), 3), (("top", HEAD), 2), (("stem:norm",), 0), (("stem", HEAD), 0)],
)
def test_the_frozen_prefix_ends_at_the_first_stage_that_learns(outline, trainable, frozen_stages):
    (planned,) = plan_steps([Train(name="s", trainable=trainable, epochs=1)], outline, Budget(1), 1)
    assert planned.frozen_stages == frozen_stages


def test_steps_follow_one_another_without_a_gap(outline):
    steps = [Train(name=n, trainable=(HEAD,), epochs=e) for n, e in (("a", 2), ("b", 3), ("c", 1))]
    planned = plan_steps(steps, outline, Budget(6), 1.0)
    assert [(step.first_epoch, step.epochs) for step in planned] == [(0, 2), (2, 3), (5, 1)]


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([], "the plan has no steps"),
        (
            [Train(name="s", trainable=(HEAD,), epochs=2)],
            "the steps take 2 epochs, the budget is 3",
        ),
        ([Train(name="s", trainable=(HEAD,), epochs=0)], "step 1 takes `0` epochs"),
        ([Train(name="s", trainable=("tip",), epochs=3)], "step 1 names `tip`, which is no stage"),
        ([Train(name="s", trainable=("pool",), epochs=3)], "step 1 trains nothing"),
        ([Train(name="s", trainable=(), epochs=3)], "step 1 trains nothing"),
        (
            [Train(name="s", trainable=(HEAD,), epochs=3, rates={HEAD: 0.0})],
            "step 1 gives `head` the rate `0.0`",
        ),
        (
            [Train(name="s", trainable=(HEAD,), epochs=3, rates={HEAD: float("nan")})],
            "step 1 gives `head` the rate `nan`",
        ),
        (["train"], "step 1 is a str, neither a Train nor a Solve"),
        ([Train(name="", trainable=(HEAD,), epochs=3)], "step 1 is called `''`"),
        ([Train(name=3, trainable=(HEAD,), epochs=3)], "step 1 is called `3`"),
        ([Train(name="s", trainable=None, epochs=3)], "step 1 trains `None`"),
        ([Train(name="s", trainable=HEAD, epochs=3)], "step 1 trains `'head'`"),
        ([Train(name="s", trainable=(3,), epochs=3)], "step 1 trains `(3,)`"),
        ([Train(name="s", trainable=(HEAD,), epochs=1.5)], "step 1 takes `1.5` epochs"),
        ([Train(name="s", trainable=(HEAD,), epochs=3, rates=None)], "step 1 has the rates `None`"),
        (
            [Train(name="s", trainable=(HEAD,), epochs=3, rates={HEAD: "slow"})],
            "step 1 gives `head` the rate `slow`",
        ),
        (
            [Train(name="s", trainable=("stem:norm", HEAD), epochs=3, rates={"stem:weight": 0.1})],
            "step 1 gives a rate to `stem:weight`, which does not train in it",
        ),
        (
            [Train(name="s", trainable=(HEAD,), epochs=3, rates={"top": 0.1})],
            "step 1 gives a rate to `top`, which does not train in it",
        ),
        (
            [Train(name="s", trainable=(HEAD,), epochs=e) for e in (1, 2)],
            "step 2 is called `s`, as one before it is",
        ),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_with_a_sentence(outline, steps, sentence):
    assert any(sentence in problem for problem in check_steps(steps, outline, Budget(3)))
    with pytest.raises(ValueError, match="step"):
        plan_steps(steps, outline, Budget(3), 1.0)


@pytest.mark.parametrize("rates", [{"stem": 0.1}, {"pool": 0.1}, {"stem:norm": 0.1}])
def test_a_rate_may_name_what_trains_in_part_and_what_has_no_parameters(outline, rates):
    step = Train(name="s", trainable=("stem:norm", HEAD), epochs=3, rates=rates)
    assert list(check_steps([step], outline, Budget(3))) == []


def test_a_solved_head_takes_no_epochs_and_freezes_the_backbone(outline):
    steps = (
        Solve(name="probe", grid=(1.0, 0.1)),
        Train(name="all", trainable=outline.body, epochs=3),
    )
    first, second = plan_steps(steps, outline, Budget(3), 0.1)
    assert (first.kind, first.epochs, first.first_epoch) == ("lbfgs", 0, 0)
    assert first.grid == (1.0, 0.1)
    assert first.trainable == outline.stages[-1].groups
    assert first.frozen_stages == len(outline.body)
    assert (second.kind, second.first_epoch) == ("train", 0)


def test_a_plan_that_trains_nothing_spends_none_of_the_budget(outline):
    assert list(check_steps((Solve(name="probe"),), outline, Budget(7))) == []


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ((Solve(name="x", method="svm"),), "step 1 solves by `'svm'`; there are `lbfgs` and `knn`"),
        ((Solve(name="x", grid=(0.0,)),), "step 1 has the strength `0.0`"),
        ((Solve(name="x", grid=3),), "step 1 has the grid `3`, which is no tuple of numbers"),
        ((Solve(name="x", method="knn", grid=(2.5,)),), "step 1 has `2.5` neighbours"),
        (
            (Solve(name="x", method="knn"), Train(name="y", trainable=(HEAD,), epochs=1)),
            "step 1 solves by `knn`, after which nothing can be trained, and is not the last",
        ),
        ((Solve(name=""),), "step 1 is called `''`, which is no text"),
        ((Solve(name="x"), Solve(name="x")), "step 2 is called `x`, as one before it is"),
    ],
)
def test_a_solved_head_that_breaks_a_rule_is_refused_with_a_sentence(outline, steps, sentence):
    assert any(sentence in problem for problem in check_steps(steps, outline, Budget(1)))
