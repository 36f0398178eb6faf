"""What two runs differ in is found and measured, number by number."""

from __future__ import annotations

import pytest
import torch

from tlf.engine.reproducing.differences import (
    PredictionsDifference,
    StageDifference,
    differing_lines,
    first_difference,
    prediction_differences,
    weight_differences,
)
from tlf.engine.reproducing.results import Results

LINES = (
    {"epoch": 1, "step": "head", "train": {"loss": 2.0}, "validation": {"accuracy": 0.5}},
    {"epoch": 2, "step": "all", "train": {"loss": 1.0}, "validation": {"accuracy": 0.75}},
)


def test_nothing_differs_between_equal_lines():
    assert first_difference(LINES, [dict(line) for line in LINES]) is None
    assert differing_lines(LINES, LINES) == 0


def test_the_first_number_that_differs_is_found_with_its_step_and_epoch():
    now = [LINES[0], {**LINES[1], "train": {"loss": 1.5}, "validation": {"accuracy": 0.0}}]
    found = first_difference(LINES, now)
    assert (found.line, found.step, found.epoch, found.field) == (2, "all", 2, "train.loss")
    assert (found.then, found.now, found.size) == (1.0, 1.5, 0.5)
    assert differing_lines(LINES, now) == 1


@pytest.mark.parametrize(("now", "small"), [(2.0 + 1e-5, True), (2.1, False), (None, False)])
def test_a_difference_may_be_as_small_as_rounding(now, small):
    found = first_difference(LINES[:1], [{**LINES[0], "train": {"loss": now}}])
    assert found.is_rounding == small


def test_a_run_that_has_fewer_lines_differs_in_the_first_that_it_lacks():
    for then, now in ((LINES, LINES[:1]), (LINES[:1], LINES)):
        found = first_difference(then, now)
        assert (found.line, found.step, found.field, found.size) == (2, "all", "epoch", None)
        assert {found.then, found.now} == {2, None}


def test_values_in_lists_and_those_that_one_side_lacks_are_compared_too():
    then = {"epoch": 0, "step": "average", "combined": {"shares": [0.5, 0.5]}}
    now = {"epoch": 0, "step": "average", "combined": {"shares": [0.5, 0.25]}}
    found = first_difference([then], [now])
    assert (found.field, found.size) == ("combined.shares.1", 0.25)
    assert first_difference([{**then, "selection": {"loss": 1.0}}], [then]).field == "selection"


GROUPS = {"a.weight": "stem:weight", "a.mean": "stem:norm", "b.weight": "body:weight"}


def tensors(**changes):
    plain = {"a.weight": torch.ones(3), "a.mean": torch.zeros(2), "b.weight": torch.ones(2, 2)}
    return {**plain, "head.linear.weight": torch.ones(2), **changes}


def test_weights_differ_by_stage_and_what_was_frozen_by_itself():
    now = tensors(
        **{
            "a.weight": torch.tensor([1.0, 1.0, 1.5]),
            "a.mean": torch.tensor([0.25, -0.5]),
            "head.linear.weight": torch.zeros(2),
        }
    )
    assert weight_differences(tensors(), now, GROUPS, frozenset({"stem:weight"})) == (
        StageDifference("stem", True, 1, 0.5),
        StageDifference("stem", False, 1, 0.5),
        StageDifference("head", False, 1, 1.0),
    )


def test_equal_weights_differ_nowhere():
    assert weight_differences(tensors(), tensors(), GROUPS, frozenset()) == ()


@pytest.mark.parametrize("other", [torch.ones(3, 3), torch.ones(2, 2, dtype=torch.float16)])
def test_tensors_of_another_shape_or_type_are_not_measured(other):
    found = weight_differences(tensors(), tensors(**{"b.weight": other}), GROUPS, frozenset())
    assert found == (StageDifference("body", False, 1, None),)


def test_a_tensor_that_only_one_has_is_a_difference():
    (found,) = weight_differences(tensors(), tensors(more=torch.ones(1)), GROUPS, frozenset())
    assert (found.stage, found.largest) == ("head", None)


def test_what_is_no_number_on_both_sides_is_the_same_and_on_one_side_is_not():
    no_number = {"b.weight": torch.full((2, 2), float("nan"))}
    with_it = tensors(**no_number)
    copy = {name: tensor.clone() for name, tensor in with_it.items()}
    assert weight_differences(with_it, copy, GROUPS, frozenset()) == ()
    (found,) = weight_differences(tensors(), with_it, GROUPS, frozenset())
    assert (found.stage, found.largest) == ("body", None)


def results(*lines):
    return Results((), {line["id"]: line for line in lines}, {}, {}, {})


def said(name, predicted, probability):
    return {"id": name, "predicted": predicted, "probabilities": {predicted: probability}}


def test_predictions_are_compared_image_by_image():
    then = results(said("a", "cat", 0.5), said("b", "cat", 0.75), said("c", "dog", 1.0))
    now = results(said("a", "cat", 0.5), said("b", "cat", 0.5), said("c", "cat", 1.0))
    assert prediction_differences(then, now) == PredictionsDifference(3, 1, 2, 0.25)
    assert prediction_differences(then, then) == PredictionsDifference(3, 0, 0, 0.0)


def test_an_image_that_only_one_has_is_a_difference():
    then, now = results(said("a", "cat", 0.5)), results(said("b", "cat", 0.5))
    assert prediction_differences(then, now) == PredictionsDifference(2, 2, 2, 0.0)
