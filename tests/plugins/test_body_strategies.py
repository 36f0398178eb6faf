"""The strategies that train part of a pretrained backbone, as plans, and as runs."""

import dataclasses
import itertools
import json

import pytest

import tlf
from tlf.errors import SpecError
from tlf.plugin import Budget, Combine, Outline, PlanError, Solve, StageOutline, TopStages, Train
from tlf.registry import load_registry

HEAD = StageOutline(name="head", parameters={"weight": 3, "bias": 1}, flops=1, output_shape=(2,))
BUDGET = Budget(epochs=6)
ALL = ("weight", "bias", "norm")


def outline(*kinds):
    """A network whose stages have these kinds of groups; by default three stages that have all."""
    body = [
        StageOutline(
            name=f"s{index}", parameters=dict.fromkeys(mine, 5), flops=1, output_shape=(4,)
        )
        for index, mine in enumerate(kinds or (ALL, ALL, ALL))
    ]
    return Outline(stages=(*body, HEAD), image_size=32)


def steps(name, network=None, **options):
    entry = load_registry().get("strategy", name)
    return entry.create(entry.options(options)).steps(network or outline(), BUDGET)


def only(name, network=None, **options):
    (step,) = steps(name, network, **options)
    return step


def trained(name, network=None, **options):
    return set(only(name, network, **options).trainable)


def groups(kinds, stages=range(3)):
    return {f"s{stage}:{kind}" for stage in stages for kind in kinds} | {"head"}


def test_norm_tuning_trains_the_normalisations_and_the_head():
    assert trained("norm-tuning") == groups(["norm"])
    assert trained("norm-tuning", outline(("weight",), ALL)) == groups(["norm"], [1])


def test_bias_tuning_trains_the_biases_and_the_head_and_norms_if_asked_to():
    assert trained("bias-tuning") == groups(["bias"])
    assert trained("bias-tuning", norms="learn") == groups(["bias", "norm"])


@pytest.mark.parametrize(
    ("name", "kinds", "hint"),
    [
        ("norm-tuning", ("weight", "bias"), "`bias-tuning`"),
        ("bias-tuning", ("weight", "norm"), "`learn`"),
    ],
)
def test_a_network_without_what_is_to_be_tuned_is_refused_with_a_way_out(name, kinds, hint):
    with pytest.raises(PlanError, match="this network has no") as caught:
        steps(name, outline(kinds, kinds))
    assert hint in caught.value.hint
    steps(name, outline(kinds, ALL))


def test_surgical_trains_the_stages_that_are_named_and_the_head():
    assert trained("surgical", stages=["s1"]) == groups(["weight", "bias"], [1])
    assert trained("surgical", stages=["..s1"], norms="learn") == groups(ALL, [0, 1])
    assert trained("surgical", stages=["s2", "s0"]) == groups(["weight", "bias"], [0, 2])


@pytest.mark.parametrize("stages", [["s7"], ["s0", "x*"], ["s2..s1"]])
def test_a_stage_that_is_not_there_is_refused(stages):
    with pytest.raises(PlanError) as caught:
        steps("surgical", stages=stages)
    assert caught.value.option == f"stages[{len(stages) - 1}]"


def test_stages_of_which_nothing_would_learn_are_refused():
    network = outline(("norm",), ALL, ())
    with pytest.raises(PlanError, match="has anything that could learn"):
        steps("surgical", network, stages=["s0", "s2"])
    assert trained("surgical", network, stages=["s0"], norms="learn") == {"s0:norm", "head"}


def test_lp_ft_solves_for_the_head_and_then_trains_everything_at_one_small_rate():
    probe, tuning = steps("lp-ft", strengths=[0.5])
    assert probe == Solve(name="probe", method="lbfgs", grid=(0.5,))
    assert set(tuning.trainable) == groups(["weight", "bias"])
    assert (tuning.epochs, set(tuning.rates.values())) == (BUDGET.epochs, {0.03})


def test_surgical_left_to_itself_solves_for_the_head_and_lets_the_run_pick_the_stages():
    network = outline(ALL, (), ALL)
    probe, chosen = steps("surgical", network, count=1)
    assert probe == Solve(name="probe")
    assert chosen.trainable == (
        TopStages(count=1, among=("s0:weight", "s0:bias", "s2:weight", "s2:bias")),
        "head",
    )
    assert set(chosen.rates) == {"s0:weight", "s0:bias", "s2:weight", "s2:bias", "head"}


def test_l2_sp_is_full_fine_tuning_with_a_pull():
    pulled, free = only("l2-sp", strength=7.0), only("full-fine-tuning")
    assert pulled.pull == 7.0
    assert dataclasses.replace(pulled, pull=0.0) == free


def test_robust_is_lp_ft_and_an_average_with_the_probe():
    *first, mix = steps("robust", shares=[0.5])
    assert tuple(first) == tuple(steps("lp-ft"))
    assert mix == Combine(name="mix", snapshots=("probe", "all"), weights=(0.5,))


def test_robust_averages_several_trainings_from_the_probe_which_share_the_epochs():
    probe, *trainings, soup, mix = steps("robust", trainings=4, soup="greedy")
    names = ("all-1", "all-2", "all-3", "all-4")
    assert [(one.name, one.epochs, one.begin) for one in trainings] == list(
        zip(names, (1, 1, 2, 2), ("probe",) * 4, strict=True)
    )
    assert soup == Combine(name="soup", snapshots=names, weights="greedy")
    assert (probe.name, mix.snapshots) == ("probe", ("probe", "soup"))


def test_robust_has_no_more_trainings_than_epochs():
    assert [step.name for step in steps("robust", trainings=100)][1:-2] == [
        f"all-{number}" for number in range(1, BUDGET.epochs + 1)
    ]


def test_probe_and_knn_take_one_step_and_no_epochs():
    assert only("probe") == Solve(name="probe", method="lbfgs")
    assert only("knn", neighbours=[1, 5]) == Solve(name="knn", method="knn", grid=(1, 5))


TRAINS_THE_BODY = {
    "full-fine-tuning": {},
    "gradual-unfreezing": {"rate_decay": 1.0},
    "lp-ft": {},
    "surgical": {"stages": ["*"]},
    "norm-tuning": {},
    "bias-tuning": {},
    "l2-sp": {},
}


@pytest.mark.parametrize("name", TRAINS_THE_BODY)
def test_every_strategy_that_trains_the_body_has_the_options_of_its_rates(name):
    network = outline(ALL, (), ALL, ALL)
    rates = {"body_rate": 0.5, "layer_decay": 0.5, "head_multiplier": 2.0}
    last = steps(name, network, **TRAINS_THE_BODY[name], **rates)[-1]
    assert isinstance(last, Train)
    found = {name.partition(":")[0]: rate for name, rate in last.rates.items()}
    # A stage without parameters is no step of the decay.
    assert found == {"head": 2.0, "s3": 0.5, "s2": 0.25, "s0": 0.125}
    assert set(last.rates) == set(last.trainable)


RUNS = {
    "probe": {},
    "knn": {"neighbours": [1, 3]},
    "lp-ft": {},
    "surgical": {"count": 1},
    "norm-tuning": {},
    "bias-tuning": {"norms": "learn"},
    "l2-sp": {},
    "robust": {"shares": [0.0, 1.0]},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_carried_out_and_repeats_itself_from_what_it_has_kept(small_spec, name):
    training = {"epochs": 1, "batch_size": 8}
    strategy = {"name": name, "options": RUNS[name]}
    spec = {**small_spec, "training": training, "strategy": strategy}
    first, again = tlf.run(spec), tlf.run(spec)
    files = ("model.safetensors", "predictions.jsonl", "metrics.jsonl")
    for one in files:
        assert (first.directory / one).read_bytes() == (again.directory / one).read_bytes()
    assert 0 <= first.report["metrics"]["accuracy"] <= 1
    if name in ("probe", "knn"):
        assert again.report["images_through_backbone"] == 0
    loaded = tlf.load(first.directory)
    (line, *_) = (first.directory / "predictions.jsonl").read_text().splitlines()
    assert set(json.loads(line)["probabilities"]) == set(loaded.classes)


def test_stages_that_a_backbone_lacks_are_mistakes_in_the_spec_all_said_at_once(small_spec):
    options = {"stages": ["conv1.0", "stage9", "conv5..", "*x"]}
    with pytest.raises(SpecError) as caught:
        tlf.plan({**small_spec, "strategy": {"name": "surgical", "options": options}})
    stage, first, pattern = caught.value.problems
    assert stage.path == "strategy.options.stages[1]"
    assert stage.message == "`stage9` is no stage of this network"
    assert "`stage" in stage.hint
    assert (first.path, first.hint) == (
        "strategy.options.stages[2]",
        "did you mean `conv5.0`?",
    )
    assert pattern.message == "`*x` matches no stage of this network"


def test_no_two_of_these_strategies_are_the_same_plan():
    plans = [tuple(steps(name, **options)) for name, options in TRAINS_THE_BODY.items()]
    # `surgical` of everything is full fine-tuning under another name of the step.
    assert all(one != other for one, other in itertools.combinations(plans, 2))
