"""Whole runs with what `training` offers: each option does what it says, and goes on after a stop."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import load_file

import tlf
from tests.small import Dies, spec_of, write_photographs
from tlf.errors import RunInterrupted, SpecError
from tlf.plugin import Train
from tlf_builtin.full_fine_tuning.strategy import FullFineTuning

EVERYTHING = {
    "epochs": 3,
    "batch_size": 4,
    "accumulate": 2,
    "loss": {"name": "focal", "gamma": 1.5},
    "class_weights": {"red": 2.0},
    "sampling": "balanced",
    "mixing": "mixup-or-cutmix",
    "ema": 0.8,
}


@pytest.fixture
def run(small_spec, same_costs):
    def run(strategy="feature-extraction", listener=None, directory=None, **sections):
        training = {"epochs": 2, "batch_size": 8, **sections.pop("training", {})}
        spec = {
            **copy.deepcopy(small_spec),
            "strategy": strategy,
            "checkpoint": {"every_seconds": 1e-9},
            **sections,
            "training": training,
        }
        return tlf.run(spec, output_directory=directory, listener=listener)

    return run


def lines(finished):
    text = (finished.directory / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def weights(finished):
    return load_file(finished.directory / "model.safetensors")


def test_two_batches_accumulated_are_one_batch_of_both(run):
    whole = run(training={"batch_size": 8})
    halves = run(training={"batch_size": 4, "accumulate": 2})
    for name, tensor in weights(whole).items():
        assert torch.allclose(weights(halves)[name], tensor, atol=1e-5), name
    for one, other in zip(lines(whole), lines(halves), strict=True):
        assert other["train"]["loss"] == pytest.approx(one["train"]["loss"], rel=1e-4)


def test_batches_left_over_at_the_end_of_an_epoch_are_a_step_of_their_own(run, monkeypatch):
    from tlf.engine.optimizer import StepOptimizer

    factors = []
    step = StepOptimizer.step

    def counted(optimizer, factor):
        factors.append(factor)
        return step(optimizer, factor)

    # The probe takes one before the run.
    monkeypatch.setattr(StepOptimizer, "step", counted)
    finished = run(training={"batch_size": 5, "accumulate": 3, "schedule": "linear", "warmup": 0})
    plan = json.loads((finished.directory / "plan.json").read_text())
    each = -(-plan["batches_per_epoch"] // 3)
    assert plan["batches_per_epoch"] % 3
    assert factors[1:] == pytest.approx([1 - (n + 0.5) / (2 * each) for n in range(2 * each)])


def test_an_average_is_evaluated_and_kept_and_changes_nothing_in_training(run):
    plain = run("full-fine-tuning", training={"learning_rate": 1e-2})
    averaged = run("full-fine-tuning", training={"learning_rate": 1e-2, "ema": 0.9})
    assert [one["train"] for one in lines(plain)] == [one["train"] for one in lines(averaged)]
    assert lines(plain)[-1]["validation"] != lines(averaged)[-1]["validation"]
    assert averaged.report["weights_from"] == "moving average, last epoch"
    changed = {n for n, t in weights(averaged).items() if not t.equal(weights(plain)[n])}
    assert "head.linear.weight" in changed
    # What was reported is what the weights that were kept say.
    text = (averaged.directory / "predictions.jsonl").read_text()
    predicted = [json.loads(line) for line in text.splitlines()]
    right = sum(one["predicted"] == one["label"] for one in predicted)
    assert averaged.metrics["accuracy"] == right / len(predicted)


@pytest.mark.slow
def test_the_average_of_a_step_is_what_the_next_one_begins_with(run, monkeypatch):
    def steps(_, outline, budget):
        body = Train(name="body", trainable=outline.body[-1:], epochs=1)
        return [Train(name="head", trainable=("head",), epochs=1), body]

    monkeypatch.setattr(FullFineTuning, "steps", steps)
    training = {"ema": 0.9, "schedule": "constant", "warmup": 0}
    finished = run("full-fine-tuning", training=training)
    monkeypatch.setattr(FullFineTuning, "steps", lambda *given: steps(*given)[:1])
    first = run("full-fine-tuning", training={**training, "epochs": 1})
    plain = run("full-fine-tuning", training={**training, "epochs": 1, "ema": None})
    # The head is frozen in the second step, with what it had at the end of the first.
    head = weights(finished)["head.linear.weight"]
    assert head.equal(weights(first)["head.linear.weight"])
    assert not head.equal(weights(plain)["head.linear.weight"])


def test_mixing_turns_the_cache_of_features_off_and_says_so(run):
    finished = run(training={"mixing": "mixup"})
    (step,) = json.loads((finished.directory / "plan.json").read_text())["steps"]
    assert step["cache"]["level"] in {"none", "decoded"}
    assert step["cache"]["why"].startswith("`training.mixing` makes a new image of each")
    assert step["frozen_stages"] > 1


@pytest.mark.slow
def test_mixing_changes_what_is_trained_on_and_not_what_is_evaluated(run):
    plain, mixed = run(), run(training={"mixing": "cutmix"})
    assert lines(plain)[0]["train"] != lines(mixed)[0]["train"]
    never = run(training={"mixing": {"name": "cutmix", "probability": 1e-12}})
    # Losses of labels and of shares that are 0 or 1 differ by their rounding.
    for name, tensor in weights(plain).items():
        assert torch.allclose(weights(never)[name], tensor, atol=1e-6), name


@pytest.mark.parametrize(
    "views",
    [
        "every-epoch",
        pytest.param(2, marks=pytest.mark.slow),
        pytest.param("none", marks=pytest.mark.slow),
    ],
)
def test_a_balanced_run_is_the_same_with_a_cache_and_without(run, photographs, views):
    training = {"sampling": "balanced", "views": views}
    kept, not_kept = (run(training=training, cache={"mode": mode}) for mode in ("auto", "off"))
    assert lines(not_kept) == lines(kept)
    assert all(weights(not_kept)[name].equal(tensor) for name, tensor in weights(kept).items())


@pytest.fixture(scope="module")
def long_tailed(tmp_path_factory):
    """Twelve red photographs to train on, three blue ones."""
    folder = tmp_path_factory.mktemp("long tailed")
    write_photographs(folder, {"train": 12, "val": 6}, seed=1)
    for path in sorted((folder / "train" / "blue").iterdir())[3:]:
        path.unlink()
    return folder


def test_rare_classes_are_drawn_as_often_and_count_as_much(long_tailed, tmp_path, same_costs):
    def run(**training):
        sections = {
            "backbone": {"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"},
            "training": {"epochs": 1, "batch_size": 4, "label_smoothing": 0.0, **training},
            "output": str(tmp_path),
        }
        return tlf.run(spec_of(long_tailed, **sections))

    drawn = run(sampling="balanced")
    plan = json.loads((drawn.directory / "plan.json").read_text())
    assert plan["batches_per_epoch"] == 4
    weighted = run(class_weights="balanced")
    assert weighted.report["class_weights"] == pytest.approx({"blue": 2.5, "red": 0.625})
    assert drawn.report["class_weights"] is None


def test_a_run_with_everything_goes_on_to_the_same_bytes(run, tmp_path):
    whole = run("full-fine-tuning", training=EVERYTHING).directory
    directory = tmp_path / "stopped"
    with pytest.raises(RunInterrupted):
        run("full-fine-tuning", Dies(5), directory, training=EVERYTHING)
    # Batches of 4 in pairs: the fifth is in the middle of a step, which begins again.
    resumed = tlf.resume(directory)
    assert resumed.report["resumed"] == 1
    for name in ("model.safetensors", "metrics.jsonl", "predictions.jsonl"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["gradual-unfreezing", "lp-ft", "robust"])
@pytest.mark.parametrize("batches", [3, 8])
def test_every_strategy_with_everything_goes_on_to_the_same_bytes(run, tmp_path, strategy, batches):
    training = {**EVERYTHING, "patience": 1, "keep": "best"}
    whole = run(strategy, training=training).directory
    directory = tmp_path / "stopped"
    with pytest.raises(RunInterrupted):
        run(strategy, Dies(batches), directory, training=training)
    tlf.resume(directory)
    for name in ("model.safetensors", "metrics.jsonl", "predictions.jsonl"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name


def test_weights_of_classes_that_are_not_there_are_refused_before_anything_is_read(run):
    with pytest.raises(SpecError, match="`rde` is no class of these images"):
        run(training={"class_weights": {"rde": 2.0}})


def test_the_same_classes_count_more_for_a_head_that_is_solved_for(long_tailed, tmp_path):
    def recall(**training):
        spec = spec_of(
            long_tailed,
            backbone={"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"},
            strategy="probe",
            training={"epochs": 1, "batch_size": 4, "views": "none", **training},
            output=str(tmp_path),
        )
        finished = tlf.run(spec)
        return {
            one["class"]: one["recall"] for one in finished.report["classification"]["per_class"]
        }

    plain = recall()
    weighted = recall(class_weights={"blue": 1000.0})
    assert weighted["blue"] > plain["blue"]
