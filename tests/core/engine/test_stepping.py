"""Whole runs of plans that choose: what stays, what is put back, what is averaged."""

import copy
import functools
import json

import pytest
import torch
from safetensors.torch import load_file

import tlf
from tlf.engine.choosing import Score
from tlf.engine.features import Feed
from tlf.engine.listener import Listener
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.stepping import Stepper
from tlf.plugin import Combine, Plateau, Solve, TopStages, Train
from tlf_builtin.full_fine_tuning.strategy import FullFineTuning


class Watcher(Listener):
    """Copies the network's weights at the ends of steps and epochs; hears what is chosen."""

    def __init__(self):
        self.starts, self.ends, self.epochs = {}, {}, {}
        self.images, self.factors, self.remembered, self.cuts = {}, {}, {}, {}
        self.stage_of, self.said = {}, []

    def batch_finished(self, epoch, images, loss):
        self.images[epoch] = self.images.get(epoch, 0) + images

    def chosen(self, message):
        self.said.append(message)

    def install(self, monkeypatch):
        def state(stepper):
            self.stage_of = {
                name: group.rpartition(":")[0]
                for group in stepper.model.groups()
                for name in stepper.model.names_in([group])
            }
            return {name: tensor.clone() for name, tensor in stepper.model.state_dict().items()}

        def around(method, name_of):
            @functools.wraps(method)
            def wrapped(stepper, *arguments):
                name = name_of(arguments)
                self.starts[name], self.now = state(stepper), name
                for one in arguments:
                    if isinstance(one, StepOptimizer):
                        self.remembered[name] = len(one.state_by_name())
                    if isinstance(one, Feed):
                        self.cuts[name] = one.cut
                result = method(stepper, *arguments)
                self.ends[name] = state(stepper)
                return result

            return wrapped

        def train_epoch(stepper, trainer, epoch, watch):
            result = train(stepper, trainer, epoch, watch)
            self.epochs[epoch + 1] = state(stepper)
            return result

        def step(optimizer, factor):
            self.factors.setdefault(self.now, []).append(factor)
            return take_step(optimizer, factor)

        self.now = "probe of memory"
        train, take_step = Stepper.train_epoch, StepOptimizer.step
        monkeypatch.setattr(Stepper, "train_epoch", train_epoch)
        monkeypatch.setattr(StepOptimizer, "step", step)
        for kind, place in (("train", 1), ("solve", 0), ("combine", 0)):
            method = around(getattr(Stepper, kind), lambda given, at=place: given[at].name)
            monkeypatch.setattr(Stepper, kind, method)


def same(one, other):
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def lines(run, name="metrics.jsonl"):
    return [json.loads(line) for line in (run.directory / name).read_text().splitlines()]


def splits_of(run):
    return json.loads((run.directory / "splits.json").read_text())


def spec_of(photographs, folder, **changes):
    options = {"train": str(photographs / "train"), "validation": str(photographs / "val")}
    return {
        "name": "small",
        "data": {"name": "image-folder", "options": options},
        "strategy": "full-fine-tuning",
        "backbone": {"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"},
        "transforms": {"name": "standard", "options": {"size": 32, "resize": 36}},
        "training": {"epochs": 6, "batch_size": 8, "learning_rate": 1e-3},
        "device": {"name": "cpu", "options": {"precision": "float32"}},
        "output": str(folder / "runs"),
        **changes,
    }


def everything(strategy, outline, budget):
    """Pick, begin elsewhere, pull, undo, wait for a plateau, and average in all ways."""
    *_, before, last = outline.body
    picked = TopStages(count=2, among=outline.body[-4:])
    rates = dict.fromkeys(outline.body[-4:], 0.01)
    return (
        Solve(name="probe", grid=(0.1, 1.0)),
        Train(name="picks", trainable=(picked, "head"), epochs=2, rates=rates, pull=0.5),
        Train(name="again", trainable=(last, "head"), epochs=2, rates={last: 0.01}, begin="probe"),
        Combine(name="half", snapshots=("picks", "again"), weights=(0.25,)),
        Train(
            name="late",
            trainable=(f"{before}:norm", "conv1.0:weight", "head"),
            epochs=2,
            begin="probe",
            until=Plateau(),
            on_no_gain="undo",
        ),
        Combine(name="even", snapshots=("picks", "again", "late")),
        Combine(name="soup", snapshots=("picks", "again", "late"), weights="greedy"),
        Combine(name="mix", snapshots=("probe", "even"), weights=(0.0, 0.5, 1.0)),
    )


@pytest.fixture(scope="module")
def runs(photographs, tmp_path_factory):
    """One plan with everything in it, three times: with a new cache, a full one, and without."""
    folder = tmp_path_factory.mktemp("everything")
    watcher, finished = Watcher(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLF_CACHE_DIR", str(folder / "cache"))
        patch.setattr(FullFineTuning, "steps", everything)
        watcher.install(patch)
        spec = spec_of(photographs, folder)
        finished.append(tlf.run(copy.deepcopy(spec), listener=watcher))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLF_CACHE_DIR", str(folder / "cache"))
        patch.setattr(FullFineTuning, "steps", everything)
        finished.append(tlf.run(copy.deepcopy(spec)))
        finished.append(tlf.run({**copy.deepcopy(spec), "cache": {"mode": "off"}}))
    return watcher, finished


@pytest.fixture
def watcher(runs):
    return runs[0]


@pytest.fixture
def finished(runs):
    return runs[1][0]


@pytest.fixture
def reported(finished):
    return {step["name"]: step for step in finished.report["steps"]}


@pytest.mark.parametrize("file", ["model.safetensors", "metrics.jsonl", "predictions.jsonl"])
def test_a_run_is_the_same_to_the_byte_with_a_cache_with_a_full_one_and_without(runs, file):
    first, second, without = [(run.directory / file).read_bytes() for run in runs[1]]
    assert first == second == without


def test_the_runs_that_are_the_same_kept_different_things(runs):
    first, second, without = [run.report for run in runs[1]]
    assert first["images_decoded"] > second["images_decoded"]
    assert {step["cache"]["level"] for step in without["steps"]} == {"none"}
    assert [step.get("picked") for step in first["steps"]] == [
        step.get("picked") for step in without["steps"]
    ]


def test_a_step_begins_with_the_very_bytes_that_another_ended_with(watcher):
    assert same(watcher.starts["again"], watcher.ends["probe"])
    assert same(watcher.starts["late"], watcher.ends["probe"])
    assert not same(watcher.ends["picks"], watcher.ends["probe"])
    assert not same(watcher.ends["half"], watcher.ends["probe"])


def test_a_step_that_begins_where_it_is_begins_with_what_the_one_before_it_left(watcher):
    assert same(watcher.starts["picks"], watcher.ends["probe"])
    assert same(watcher.starts["half"], watcher.ends["again"])


def test_what_an_optimizer_knew_of_weights_that_are_put_back_is_forgotten(watcher):
    assert watcher.remembered["again"] == watcher.remembered["late"] == 0


def test_the_schedule_begins_anew_with_a_step_that_begins_elsewhere(watcher, finished):
    batches = json.loads((finished.directory / "plan.json").read_text())["batches_per_epoch"]
    picks, again = watcher.factors["picks"], watcher.factors["again"]
    assert len(picks) == 2 * batches
    assert picks == again
    assert picks[0] != picks[-1]
    assert watcher.factors["late"] == picks[: len(watcher.factors["late"])]


def test_what_is_picked_learns_and_no_other_stage_of_the_backbone(watcher, finished, reported):
    stages = [
        s["name"] for s in json.loads((finished.directory / "plan.json").read_text())["stages"]
    ]
    picked = reported["picks"]["picked"]
    assert picked["by"] == "relative-gradient-norm"
    assert list(picked["scores"]) == stages[-5:-1]
    best = sorted(picked["scores"], key=picked["scores"].get)[-2:]
    assert sorted(picked["stages"]) == sorted(best)
    before, after = watcher.starts["picks"], watcher.ends["picks"]
    moved = {watcher.stage_of[name] for name in before if not before[name].equal(after[name])}
    assert moved == {*best, "head"}
    assert watcher.cuts["picks"] == min(stages.index(stage) for stage in best)
    assert any(all(stage in said for stage in best) for said in watcher.said)
    learning = reported["picks"]["trainable_parameters"]
    assert 0 < learning < reported["late"]["frozen_parameters"]


def average(states, shares):
    """Return the mean in double precision; what is no float, from the last."""
    return {
        name: sum(state[name].double() * share for state, share in zip(states, shares, strict=True))
        .float()
        .to(states[-1][name].dtype)
        if states[-1][name].is_floating_point()
        else states[-1][name]
        for name in states[0]
    }


@pytest.mark.parametrize(
    ("name", "snapshots", "shares"),
    [
        ("half", ("picks", "again"), (0.75, 0.25)),
        ("even", ("picks", "again", "late"), (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_an_average_is_that_of_the_weights_at_the_ends_of_its_steps(
    watcher, reported, name, snapshots, shares
):
    states = [watcher.ends[step] for step in snapshots]
    wanted, found = average(states, shares), watcher.ends[name]
    assert found.keys() == wanted.keys()
    for tensor, value in wanted.items():
        torch.testing.assert_close(found[tensor], value, rtol=2e-7, atol=1e-12)
    assert not any(same(found, state) for state in states)
    combined = reported[name]["combined"]
    assert combined["snapshots"] == list(snapshots)
    assert combined["shares"] == pytest.approx(list(shares))
    assert (combined["tried"], combined["chosen_on"]) == ([], None)
    assert reported[name]["epochs"] == 0


def test_the_share_is_chosen_that_does_best_on_the_images_held_out(watcher, finished, reported):
    combined = reported["mix"]["combined"]
    tried = combined["tried"]
    assert [one["shares"] for one in tried] == [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    best = max(tried, key=lambda one: (one["accuracy"], -one["loss"]))
    assert combined["shares"] == best["shares"]
    assert combined["chosen_on"] == "selection"
    wanted = average([watcher.ends["probe"], watcher.ends["even"]], best["shares"])
    last = load_file(finished.directory / "model.safetensors")
    for name, value in wanted.items():
        torch.testing.assert_close(last[name], value, rtol=2e-7, atol=1e-12)


def test_a_soup_is_the_average_that_its_record_says(watcher, reported):
    combined = reported["soup"]["combined"]
    assert len(combined["tried"]) == 5
    states = [watcher.ends[step] for step in ("picks", "again", "late")]
    wanted = average(states, combined["shares"])
    for name, value in wanted.items():
        torch.testing.assert_close(watcher.ends["soup"][name], value, rtol=2e-7, atol=1e-12)


def test_the_report_and_the_lines_say_what_was_averaged_and_what_is_reported(finished):
    report = finished.report
    assert report["weights_from"] == "average of probe and even"
    assert (report["selection_on"], report["metrics_on"]) == ("selection", "validation")
    combined = {line["step"]: line for line in lines(finished) if "combined" in line}
    assert list(combined) == ["half", "even", "soup", "mix"]
    for step in report["steps"]:
        if step["name"] in combined:
            assert combined[step["name"]]["combined"] == step["combined"]
    assert combined["mix"]["validation"] == finished.metrics
    predictions = lines(finished, "predictions.jsonl")
    right = sum(line["label"] == line["predicted"] for line in predictions)
    assert finished.metrics["accuracy"] == right / len(predictions)


def test_the_images_to_choose_on_are_of_train_and_are_never_trained_on(watcher, finished):
    splits = splits_of(finished)
    held, kept = set(splits["selection"]), set(splits["train"])
    names = [f"train/{name}/{index:02d}.png" for name in ("red", "blue") for index in range(12)]
    assert held | kept == set(names)
    assert not held & kept
    assert (len(splits["selection"]), len(splits["train"])) == (4, 20)
    assert {name.split("/")[1] for name in held} == {"red", "blue"}
    assert set(watcher.images.values()) == {20}
    assert finished.report["images"] == {"train": 20, "validation": 10, "selection": 4}
    assert "held out 4 of 24 training images" in (finished.directory / "log.txt").read_text()
    assert finished.report["steps"][0]["solved"]["chosen_on"] == "selection"


@pytest.fixture
def run(photographs, tmp_path, monkeypatch):
    """Run some steps, with scores that are made up; return the run and who watched it."""

    def run(steps, scores, **changes):
        watcher, left = Watcher(), list(scores)
        watcher.install(monkeypatch)
        monkeypatch.setattr(FullFineTuning, "steps", lambda self, outline, budget: steps(outline))
        monkeypatch.setattr(Score, "of", lambda evaluation: Score(left.pop(0), 0.0))
        finished = tlf.run(spec_of(photographs, tmp_path, **changes), listener=watcher)
        assert left == []
        return finished, watcher

    return run


def climbing(outline):
    last = outline.body[-1]
    return (
        Train(name="head", trainable=("head",), epochs=4, until=Plateau(patience=2)),
        Train(
            name="body",
            trainable=(last, "head"),
            epochs=2,
            until=Plateau(),
            on_no_gain="undo",
        ),
        Train(name="rest", trainable=("head",), epochs=1),
    )


def test_a_step_ends_with_its_best_epoch_and_one_without_a_gain_is_undone(run):
    """In one run: a plateau, an undone step, and the epochs that both leave to the next."""
    plateau = [0.5, 0.6, 0.8, 0.7, 0.8]
    undone = [0.8, 0.8]
    training = {"epochs": 7, "batch_size": 8}
    finished, watcher = run(climbing, [*plateau, *undone], training=training)

    assert same(watcher.ends["head"], watcher.epochs[2])
    assert not same(watcher.ends["head"], watcher.epochs[4])

    assert same(watcher.starts["body"], watcher.ends["head"])
    assert same(watcher.ends["body"], watcher.starts["body"])
    assert not same(watcher.epochs[5], watcher.starts["body"])
    assert same(watcher.starts["rest"], watcher.ends["body"])
    assert watcher.remembered["rest"] == 0
    assert same(watcher.ends["rest"], load_file(finished.directory / "model.safetensors"))

    head, body, rest = finished.report["steps"]
    assert (head["epochs"], body["epochs"], rest["epochs"]) == (4, 1, 2)
    assert head["selection"] == {
        "before": {"accuracy": 0.5, "loss": 0.0},
        "best": {"accuracy": 0.8, "loss": 0.0},
        "best_epoch": 2,
        "undone": False,
    }
    assert (body["selection"]["undone"], body["selection"]["best_epoch"]) == (True, None)
    assert "selection" not in rest

    written = lines(finished)
    assert [line["epoch"] for line in written] == [1, 2, 3, 4, 5, 6, 7]
    assert [line["step"] for line in written] == ["head"] * 4 + ["body"] + ["rest"] * 2
    chosen_on = [line["selection"]["accuracy"] for line in written if "selection" in line]
    assert chosen_on == [0.6, 0.8, 0.7, 0.8, 0.8]
    # What a step is left with is what its best epoch had on the validation images.
    assert head["accuracy"] == body["accuracy"] == written[1]["validation"]["accuracy"]
    assert finished.report["weights_from"] == "last epoch"

    log = (finished.directory / "log.txt").read_text()
    assert all(said in log for said in watcher.said)
    first, second = watcher.said
    assert "step head" in first
    assert "epoch 2" in first
    assert "step body" in second
    assert "undone" in second


def test_epochs_that_no_step_takes_are_not_spent(run):
    steps = (Train(name="head", trainable=("head",), epochs=6, until=Plateau(patience=1)),)
    finished, watcher = run(lambda outline: steps, [0.5, 0.6, 0.6])
    assert [line["epoch"] for line in lines(finished)] == [1, 2]
    assert finished.report["steps"][0]["epochs"] == 2
    assert same(watcher.epochs[1], load_file(finished.directory / "model.safetensors"))
    assert finished.metrics == lines(finished)[0]["validation"]
    assert finished.report["weights_from"] == "best epoch of each step"


def test_what_is_put_back_and_frozen_then_is_proven_to_stay_as_it_is_now(run):
    def steps(outline):
        norm = f"{outline.body[-1]}:norm"
        return (
            Solve(name="probe", grid=(0.1,)),
            Train(name="norm", trainable=(norm, "head"), epochs=1),
            Train(name="head", trainable=("head",), epochs=1),
            Train(name="again", trainable=("head",), epochs=1, begin="probe"),
        )

    finished, watcher = run(steps, [], training={"epochs": 3, "batch_size": 8})
    last = load_file(finished.directory / "model.safetensors")
    body = [name for name in last if not name.startswith("head.")]
    assert not all(watcher.ends["head"][name].equal(last[name]) for name in body)
    assert all(watcher.ends["probe"][name].equal(last[name]) for name in body)


def test_where_others_are_reported_the_validation_images_choose_and_none_are_held_out(
    run, data_with_test
):
    steps = (Train(name="head", trainable=("head",), epochs=1, on_no_gain="undo"),)
    training = {"epochs": 1, "batch_size": 8}
    finished, watcher = run(
        lambda outline: steps, [0.5, 0.4], data=data_with_test, training=training
    )
    assert {name: len(ids) for name, ids in splits_of(finished).items()} == {
        "train": 24,
        "validation": 10,
        "test": 10,
    }
    assert (finished.report["selection_on"], finished.report["metrics_on"]) == (
        "validation",
        "test",
    )
    assert watcher.images == {1: 24}
    # The reported network is the one that was put back, which has learnt nothing.
    state = load_file(finished.directory / "model.safetensors")
    assert same(state, watcher.starts["head"])
    # The photographs are copies of the validation images, measured anew.
    right = sum(one["label"] == one["predicted"] for one in lines(finished, "predictions.jsonl"))
    assert finished.metrics["accuracy"] == finished.report["steps"][0]["accuracy"] == right / 10


def test_a_plan_that_chooses_nothing_holds_nothing_out(make_job, monkeypatch):
    def steps(self, outline, budget):
        first = (
            Train(name=name, trainable=("head",), epochs=1, begin=begin)
            for name, begin in (("a", None), ("b", "a"))
        )
        return (*first, Combine(name="mix", snapshots=("a", "b"), weights=(0.5,)))

    monkeypatch.setattr(FullFineTuning, "steps", steps)
    job = make_job(strategy="full-fine-tuning")
    assert set(job.dataset.splits) == {"train", "validation"}
    assert job.plan.selection_on is None


def test_the_spec_says_how_many_images_are_held_out(make_job, monkeypatch):
    steps = (Train(name="head", trainable=("head",), epochs=2, on_no_gain="undo"),)
    monkeypatch.setattr(FullFineTuning, "steps", lambda self, outline, budget: steps)
    job = make_job(strategy="full-fine-tuning", evaluation={"selection": 0.5})
    assert len(job.dataset.splits["selection"]) == len(job.dataset.splits["train"]) == 12
    assert job.plan.data["images"] == {"train": 12, "validation": 10, "selection": 12}
    assert job.plan.batches_per_epoch == 2
