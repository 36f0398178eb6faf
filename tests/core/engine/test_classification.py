"""Per-class scores, confusion and calibration, beside counts and loops written here."""

import math

import numpy as np
import pytest
import torch

from tlf.engine.classification import CALIBRATION_BINS, calibration, classification
from tlf.engine.metrics import Evaluation, measure

LABELS = [0, 0, 0, 1, 1, 3, 3, 3, 3, 3]
PREDICTED = [0, 0, 1, 1, 3, 3, 3, 3, 0, 0]
NAMES = ("a", "b", "never seen", "d")


@pytest.fixture(scope="module")
def found():
    logits = torch.zeros(len(LABELS), 4)
    for row, index in enumerate(PREDICTED):
        logits[row, index] = 1.0 + row / 10
    return classification(Evaluation(logits, torch.tensor(LABELS)), NAMES)


@pytest.mark.parametrize("index", range(4))
def test_scores_of_a_class_agree_with_counting(found, index):
    pairs = list(zip(LABELS, PREDICTED, strict=True))
    right = sum(pair == (index, index) for pair in pairs)
    images, predicted = LABELS.count(index), PREDICTED.count(index)
    row = found["per_class"][index]
    assert (row["class"], row["images"]) == (NAMES[index], images)
    assert row["precision"] == (pytest.approx(right / predicted) if predicted else None)
    assert row["recall"] == (pytest.approx(right / images) if images else None)
    both = images + predicted
    assert row["f1"] == (pytest.approx(2 * right / both) if both else None)


def test_a_class_that_is_never_predicted_has_a_recall_and_no_precision():
    logits = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    found = classification(Evaluation(logits, torch.tensor([0, 1])), ("a", "b"))
    row = found["per_class"][1]
    assert (row["precision"], row["recall"], row["f1"]) == (None, 0.0, 0.0)


def test_the_confusion_holds_every_cell_that_is_not_empty_and_no_other(found):
    expected = {}
    for pair in zip(LABELS, PREDICTED, strict=True):
        expected[pair] = expected.get(pair, 0) + 1
    assert found["confusion"] == [[*pair, count] for pair, count in sorted(expected.items())]


@pytest.fixture
def random_scores():
    generator = np.random.default_rng(3)
    scores = generator.dirichlet([0.5] * 5, 400)
    labels = np.array([generator.choice(5, p=row) for row in scores])
    return labels, scores


def test_the_calibration_error_agrees_with_a_loop_over_bins(random_scores):
    labels, scores = random_scores
    found = calibration(labels, scores)
    error = 0.0
    for number in range(CALIBRATION_BINS):
        inside = [
            (max(row), int(np.argmax(row)) == label)
            for label, row in zip(labels, scores, strict=True)
            if number < max(row) * CALIBRATION_BINS <= number + 1
        ]
        if not inside:
            assert not any(one["low"] == number / CALIBRATION_BINS for one in found["bins"])
            continue
        confidence = math.fsum(value for value, _ in inside) / len(inside)
        accuracy = sum(right for _, right in inside) / len(inside)
        (one,) = (
            one for one in found["bins"] if math.isclose(one["low"], number / CALIBRATION_BINS)
        )
        assert one["images"] == len(inside)
        assert one["confidence"] == pytest.approx(confidence)
        assert one["accuracy"] == pytest.approx(accuracy)
        error += len(inside) / len(labels) * abs(confidence - accuracy)
    assert found["expected_calibration_error"] == pytest.approx(error)
    assert sum(one["images"] for one in found["bins"]) == len(labels)


def test_a_probability_on_an_edge_belongs_to_the_bin_below():
    found = calibration(np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    (one,) = found["bins"]
    assert (one["high"], one["images"], one["accuracy"]) == (1.0, 2, 1.0)
    assert found["expected_calibration_error"] == 0.0


def test_the_scores_agree_with_the_metrics_of_the_report(random_scores):
    labels, scores = random_scores
    evaluation = Evaluation(torch.from_numpy(scores).log(), torch.from_numpy(labels))
    rows = classification(evaluation, "abcde")["per_class"]
    metrics = measure(evaluation, ["macro-f1", "balanced-accuracy"])
    assert np.mean([row["f1"] for row in rows]) == pytest.approx(metrics["macro-f1"])
    recalls = [row["recall"] for row in rows]
    assert np.mean(recalls) == pytest.approx(metrics["balanced-accuracy"])
