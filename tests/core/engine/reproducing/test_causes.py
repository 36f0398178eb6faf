"""Of what has changed, what explains a difference best comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlf.engine.record import Change, Record
from tlf.engine.reproducing.causes import changed_afterwards, ordered, plan_changes, what_is_left
from tlf.engine.reproducing.differences import FirstDifference

CHANGES = [
    Change("machine", "threads", "1", "2"),
    Change("library", "torch", "1", "2"),
    Change("tlf", "tlf", "1", "2"),
    Change("plugin", "the code of the strategy `x`", "a", "b"),
    Change("data", "the images of `train`", "a", "b"),
    Change("data", "the images of `validation`", "a", "b"),
    Change("weights", "the pretrained weights", "a", "b"),
]


def kinds(changes):
    return [change.kind for change in changes]


def first(line=1, field="train.loss", now=2.0):
    return FirstDifference(line, "all", line, field, 1.0, now)


def test_what_differs_from_the_start_comes_of_weights_and_images_before_all_else():
    found = ordered(CHANGES, first(), "validation")
    assert kinds(found) == ["weights", "data", "plugin", "tlf", "library", "machine", "data"]
    assert (found[1].what, found[-1].what) == (
        "the images of `train`",
        "the images of `validation`",
    )


def test_a_first_difference_as_small_as_rounding_comes_of_the_machine_before_code():
    found = ordered(CHANGES, first(now=1.0 + 1e-8), "validation")
    assert kinds(found)[:4] == ["weights", "data", "machine", "library"]


def test_what_differs_later_does_not_come_of_weights_or_images():
    assert kinds(ordered(CHANGES, first(line=3), "validation"))[:2] == ["plugin", "tlf"]
    small = ordered(CHANGES, first(line=3, now=1.0 + 1e-8), "validation")
    assert kinds(small)[:2] == ["machine", "library"]
    assert kinds(ordered(CHANGES, None, "validation", is_small=True))[2] == "machine"
    assert set(kinds(small)[-3:]) == {"data", "weights"}


def test_images_explain_a_difference_of_their_own_split():
    found = ordered(CHANGES, first(field="validation.loss"), "validation")
    data = [change.what for change in found if change.kind == "data"]
    assert data == ["the images of `validation`", "the images of `train`"]
    tested = [*CHANGES, Change("data", "the images of `test`", "a", "b")]
    found = ordered(tested, None, "test")
    assert [change.what for change in found][:2] == [
        "the pretrained weights",
        "the images of `test`",
    ]


@pytest.mark.parametrize(
    ("differing", "changes", "words"),
    [
        ({"model.safetensors"}, [], "`model.safetensors` was changed after the run"),
        ({"model.safetensors"}, CHANGES, "`model.safetensors` was changed after the run"),
        ({"metrics.jsonl"}, [], "`metrics.jsonl` was changed after the run"),
        ({"predictions.jsonl"}, [], "`predictions.jsonl` was changed after the run"),
        ({"metrics.jsonl"}, CHANGES, None),
        ({"predictions.jsonl"}, CHANGES, None),
        ({"metrics.jsonl", "model.safetensors"}, [], None),
    ],
)
def test_a_file_that_alone_differs_was_changed_after_the_run(differing, changes, words):
    found = changed_afterwards(frozenset(differing), changes, is_small=False)
    assert found is None if words is None else found.startswith(words)
    # Weights that differ in their last bits may well give the same metrics.
    assert changed_afterwards(frozenset(differing), changes, is_small=True) is None


def plan(**changes):
    device = {"precision": "bfloat16", "threads": 1, "reason": "so", "torch_device": "cpu"}
    step = {"name": "all", "rates": {"head:weight": 0.1}, "cache": {"level": "features"}}
    plain = {"name": "run", "classes": ["a", "b"], "device": device, "cache": {"mode": "auto"}}
    training = {"epochs": 3, "workers": 2}
    return {**plain, "training": training, "steps": [step], **changes}


def test_choices_of_the_plan_that_became_others_are_changes():
    device = {**plan()["device"], "precision": "float32"}
    steps = [{**plan()["steps"][0], "rates": {"head:weight": 0.2}}]
    found = plan_changes(plan(), plan(device=device, steps=steps, classes=["c", "d"]))
    assert {(change.kind, str(change)) for change in found} == {
        ("plan", "`device.precision` of the plan: bfloat16 then, float32 now"),
        ("plan", "`steps.0.rates.head:weight` of the plan: 0.1 then, 0.2 now"),
        ("plan", "`classes.0` and 1 more of the plan: a then, c now"),
    }


def test_what_changes_no_number_or_is_said_elsewhere_is_none():
    device = {**plan()["device"], "threads": 2, "reason": "other", "deterministic": False}
    steps = [{**plan()["steps"][0], "cache": {"level": "none"}}]
    changed = plan(
        name="other",
        device=device,
        steps=steps,
        cache={"mode": "off"},
        training={"epochs": 3, "workers": 8},
    )
    assert plan_changes(plan(), changed) == []


def record(plugins, **device):
    environment = {"plugins": plugins}
    plan = {"device": {"torch_device": "cpu", **device}}
    return Record(Path("run"), None, plan, environment)


def test_what_is_left_are_plugins_of_others_then_operations_then_what_nobody_knows():
    ours = {"kind": "strategy", "name": "probe", "distribution": "tlf", "version": "1"}
    theirs = {"kind": "transform", "name": "blur", "distribution": "tlf-acme", "version": "2.0"}
    plugin, operations, unknown = what_is_left(record([ours, theirs], deterministic=False))
    assert plugin.startswith("the transform `blur` (tlf-acme 2.0) may draw from a generator")
    assert "`device.options.deterministic` finds" in operations
    assert unknown.startswith("what no record holds")
    assert len(list(what_is_left(record([ours], deterministic=True)))) == 1
