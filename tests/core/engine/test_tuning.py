"""A learning rate for a spec: whatever its plan, from training images alone, and nothing is left."""

import random
import shutil

import numpy as np
import pytest
import torch

import tlf
from tlf.engine.teacher import Teacher
from tlf.errors import RunError, UsageError


@pytest.fixture
def spec(small_spec):
    small_spec["training"] = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}
    return small_spec


def tune(spec, **options):
    return tlf.tune_lr(spec, **{"batches": 10, "lowest": 1e-3, "repeats": 1, **options})


def curves(rates, number):
    """The losses of a repeat, of each step that was tested."""
    return [step.together.repeats[number].curve.losses for step in rates.tested]


def test_it_looks_at_training_images_only_and_writes_no_run(spec, photographs, tmp_path):
    folder = shutil.copytree(photographs, tmp_path / "own")
    for path in folder.glob("val/*/*.png"):
        path.write_bytes(b"no image at all")
    spec["data"]["options"] = {"train": str(folder / "train"), "validation": str(folder / "val")}
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())
    rates = tune(spec)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), repr(np.random.get_state())) == before[1:]
    assert not (tmp_path / "runs").exists()
    assert (rates.name, rates.planned) == ("small", 0.01)
    assert [(step.name, step.epochs) for step in rates.steps] == [("head", 2)]
    (repeat,) = rates.steps[0].together.repeats
    assert (repeat.seed, len(repeat.curve.rates)) == (0, 10)


def test_a_repeat_is_what_a_test_with_its_seed_is(spec):
    spec |= {"strategy": "gradual-unfreezing", "backbone": "tlf/resnet20"}
    both = tune(spec, repeats=2)
    assert len(both.tested) == 2
    assert curves(both, 0) != curves(both, 1)
    assert curves(tune({**spec, "seed": 1}), 0) == curves(both, 1)


def test_a_step_behind_a_solved_head_begins_with_it(spec):
    spec["strategy"] = "lp-ft"
    rates = tune(spec, groups=True)
    assert [step.kind for step in rates.steps] == ["lbfgs", "train"]
    assert rates.steps[0].note == "nothing to tune: the head is solved for"
    # A head that nobody has fitted would begin at the logarithm of 2.
    assert rates.steps[1].together.repeats[0].curve.losses[0] < 0.6
    # Head and body have one rate, and so nothing to be tried alone.
    assert rates.steps[1].groups == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [
        {"name": "surgical", "options": {"stages": "auto"}},
        "l2-sp",
        "robust",
        {"name": "gradual-unfreezing", "options": {"advance": "on-plateau"}},
    ],
    ids=str,
)
def test_steps_that_pick_pull_average_and_undo_are_tested_as_they_would_run(spec, strategy):
    rates = tune({**spec, "strategy": strategy}, repeats=2)
    assert rates.tested
    assert all(len(step.together.repeats) == 2 for step in rates.tested)


@pytest.mark.slow
def test_each_rate_of_a_step_can_be_tested_alone(spec):
    rates = tune({**spec, "strategy": "full-fine-tuning"}, groups=True)
    body, head = rates.steps[0].groups
    assert {group.partition(":")[0] for group in head.groups} == {"head"}
    assert body.planned < head.planned == 0.01


def test_a_plan_without_training_is_not_even_built(spec, monkeypatch):
    monkeypatch.setattr("tlf.engine.tuning.build_network", None)
    rates = tlf.tune_lr({**spec, "strategy": "probe"})
    assert (rates.learning_rate, rates.tested) == (None, ())


def test_too_little_memory_is_told_with_a_batch_size(spec, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("tlf.engine.tuning.range_test", full)
    with pytest.raises(RunError, match="step `head` does not fit into the memory") as caught:
        tune(spec)
    assert caught.value.hint == "try `--set training.batch_size=4`"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lowest": 0.0}, "the lowest rate `0` is none"),
        ({"highest": 101.0}, "the highest rate `101` is none"),
        ({"highest": float("nan")}, "the highest rate `nan` is none"),
        ({"lowest": 1.0, "highest": 1.0}, "the lowest rate `1` is not below the highest, `1`"),
        ({"batches": 9}, "`9` batches are too few"),
        ({"repeats": 0}, "`0` repeats are none"),
    ],
)
def test_a_range_that_is_none_is_refused_before_the_spec_is_read(options, words):
    with pytest.raises(UsageError, match=words) as caught:
        tlf.tune_lr("nowhere.json", **options)
    assert caught.value.hint


def test_the_loss_of_a_test_is_the_runs_with_its_teacher_and_its_labels(spec, monkeypatch):
    plain = tune(spec)
    spec["training"]["distillation"] = {"teacher": {"backbone": "tlf/resnet20"}, "weight": 1.0}
    taught = tune(spec)
    # A head that knows nothing is as far from a teacher as it is from the labels, or nearer.
    assert curves(taught, 0) != curves(plain, 0)
    seen = []
    logits = Teacher.logits

    def recorded(teacher, fetched):
        seen.append(logits(teacher, fetched))
        return seen[-1]

    monkeypatch.setattr(Teacher, "logits", recorded)
    assert curves(tune(spec), 0) == curves(taught, 0)
    assert len(seen) == 10
