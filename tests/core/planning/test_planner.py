import pytest

from tlf.planning import check_steps, plan_steps, with_trainable
from tlf.plugin import HEAD, Budget, Combine, Plateau, Solve, TopStages, Train


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
        (["train"], "step 1 is a str, neither a Train nor a Solve nor a Combine"),
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


def test_neighbours_have_no_parameters(outline):
    (planned,) = plan_steps([Solve(name="knn", method="knn")], outline, Budget(3), 0.1)
    assert (planned.trainable_parameters, planned.trainable) == (0, outline.stages[-1].groups)


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


def trained(name, *trainable, epochs=1, **more):
    return Train(name=name, trainable=trainable, epochs=epochs, **more)


def test_an_average_changes_what_the_steps_before_it_train_and_learns_nothing(outline):
    steps = (
        trained("a", "top:bias", epochs=2),
        Solve(name="probe"),
        Combine(name="mix", snapshots=("a", "probe"), weights=[0.5]),
        trained("all", "stem", epochs=1),
    )
    *_, mix, last = plan_steps(steps, outline, Budget(3), 1.0)
    assert (mix.kind, mix.first_epoch, mix.epochs) == ("combine", 2, 0)
    assert mix.trainable == ("top:bias", "head:weight", "head:bias")
    assert mix.frozen == ("stem:weight", "stem:norm", "top:weight")
    assert (mix.trainable_parameters, mix.frozen_parameters) == (0, 158)
    assert mix.frozen_stages == 2
    assert (mix.snapshots, mix.weights) == (("a", "probe"), (0.5,))
    assert last.first_epoch == 2


def test_without_a_step_that_begins_elsewhere_the_schedule_spans_all_epochs(outline):
    steps = (trained("a", HEAD, epochs=2), Solve(name="probe"), trained("b", HEAD, epochs=3))
    planned = plan_steps(steps, outline, Budget(5), 1.0)
    assert [step.schedule for step in planned] == [(0, 5)] * 3


def test_the_schedule_begins_anew_where_a_step_begins_elsewhere_and_ends_before_the_next(outline):
    steps = (
        Solve(name="probe"),
        trained("a", HEAD, epochs=2),
        trained("b", HEAD, epochs=3, begin="probe"),
        trained("c", "top", epochs=1),
        trained("d", HEAD, epochs=4, begin="a"),
        Combine(name="mix", snapshots=("a", "d")),
    )
    planned = {step.name: step for step in plan_steps(steps, outline, Budget(10), 1.0)}
    spans = {name: step.schedule for name, step in planned.items() if step.epochs}
    assert spans == {"a": (0, 2), "b": (2, 4), "c": (2, 4), "d": (6, 4)}
    assert [planned[name].begin for name in "abcd"] == [None, "probe", None, "a"]


def test_all_that_a_selector_picks_from_counts_as_learning_until_it_has_picked(outline):
    picked = TopStages(count=1, among=("stem:weight", "top"))
    step = trained("s", picked, HEAD, rates={"top": 0.5})
    (planned,) = plan_steps([step], outline, Budget(1), 2.0)
    assert planned.trainable == (
        "stem:weight",
        "top:weight",
        "top:bias",
        "head:weight",
        "head:bias",
    )
    assert (planned.frozen, planned.frozen_stages) == (("stem:norm",), 0)
    assert planned.trainable_parameters == 167
    selector = planned.selector
    assert (selector.by, selector.count) == ("relative-gradient-norm", 1)
    assert selector.among == ("stem:weight", "top:weight", "top:bias")
    assert planned.rates["top:bias"] == 1.0
    assert planned.rates["stem:weight"] == 2.0


def test_a_step_that_has_picked_freezes_the_rest_and_keeps_its_rates_and_place(outline):
    first = trained("first", HEAD, epochs=2)
    picked = TopStages(count=1, among=("stem", "top"))
    step = trained("s", picked, HEAD, rates={"top": 0.5, "stem": 0.1}, pull=0.3)
    planned = plan_steps([first, step], outline, Budget(3), 2.0)[1]
    resolved = with_trainable(planned, outline, ["head:bias", "top:bias", "head:weight"])
    assert resolved.trainable == ("top:bias", "head:weight", "head:bias")
    assert resolved.frozen == ("stem:weight", "stem:norm", "top:weight")
    assert resolved.rates == {"top:bias": 1.0, "head:weight": 2.0, "head:bias": 2.0}
    assert (resolved.trainable_parameters, resolved.frozen_parameters) == (17, 158)
    assert (resolved.frozen_stages, resolved.selector) == (2, None)
    assert (resolved.first_epoch, resolved.epochs, resolved.pull) == (2, 1, 0.3)


@pytest.mark.parametrize(
    ("step", "watched", "chooses"),
    [
        (trained("s", HEAD), False, False),
        (trained("s", HEAD, until=Plateau(patience=3)), True, True),
        (trained("s", HEAD, on_no_gain="undo"), True, True),
        (Combine(name="s", snapshots=("a", "b")), False, False),
        (Combine(name="s", snapshots=("a", "b"), weights="greedy"), False, True),
        (Combine(name="s", snapshots=("a", "b"), weights=(0.5,)), False, False),
        (Combine(name="s", snapshots=("a", "b"), weights=(0.5, 0.5)), False, False),
        (Combine(name="s", snapshots=("a", "b"), weights=(0.0, 0.5)), False, True),
        (Solve(name="s", grid=(1.0, 2.0)), False, False),
    ],
)
def test_a_step_chooses_if_it_looks_at_images_to_keep_one_of_several_weights(
    outline, step, watched, chooses
):
    before = (trained("a", HEAD), trained("b", HEAD))
    budget = Budget(3 if isinstance(step, Train) else 2)
    planned = plan_steps((*before, step), outline, budget, 1.0)[-1]
    assert (planned.watched, planned.chooses) == (watched, chooses)
    assert planned.solves == isinstance(step, Solve)


def test_what_a_step_is_to_do_with_its_epochs_is_in_the_plan(outline):
    steps = (trained("a", HEAD, until=Plateau(patience=3), on_no_gain="undo"), trained("b", HEAD))
    first, second = plan_steps(steps, outline, Budget(2), 1.0)
    assert (first.patience, first.undo) == (3, True)
    assert (second.patience, second.undo, second.pull) == (None, False, 0.0)
