import math

import pytest
import torch

from tlf.engine.metrics import Evaluation, accuracy_interval, measure

ALL = ("accuracy", "balanced-accuracy", "macro-f1", "top-5-accuracy")


def evaluation_of(predicted, labels, classes):
    logits = torch.full((len(labels), classes), -3.0)
    for row, index in enumerate(predicted):
        logits[row, index] = 2.0
    return Evaluation(logits, torch.tensor(labels))


def test_metrics_agree_with_counting_by_hand():
    labels = [0, 0, 0, 0, 1, 1]
    predicted = [0, 0, 0, 1, 1, 0]
    found = measure(evaluation_of(predicted, labels, 2), ALL)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced-accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    f1 = [2 * 3 / (2 * 3 + 1 + 1), 2 * 1 / (2 * 1 + 1 + 1)]
    assert found["macro-f1"] == pytest.approx(sum(f1) / 2)


def test_the_loss_is_the_mean_negative_log_probability():
    found = measure(evaluation_of([0, 1], [0, 0], 2), ())
    right = -math.log(math.exp(2) / (math.exp(2) + math.exp(-3)))
    wrong = -math.log(math.exp(-3) / (math.exp(2) + math.exp(-3)))
    assert found == {"loss": pytest.approx((right + wrong) / 2)}


def test_top_5_accuracy_counts_labels_among_the_five_likeliest():
    logits = torch.arange(7.0).repeat(3, 1)
    found = measure(Evaluation(logits, torch.tensor([6, 2, 1])), ["top-5-accuracy"])
    assert found["top-5-accuracy"] == pytest.approx(2 / 3)


def test_top_5_accuracy_is_left_out_where_it_would_always_be_1():
    assert "top-5-accuracy" not in measure(evaluation_of([0, 1], [0, 1], 5), ALL)


def test_a_class_without_images_does_not_count_as_recalled():
    found = measure(evaluation_of([0, 0], [0, 0], 3), ["balanced-accuracy"])
    assert found["balanced-accuracy"] == 1.0


def test_the_interval_is_wilsons():
    p, n, z = 0.9, 100, 1.959963984540054
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert accuracy_interval(0.9, 100) == pytest.approx((centre - half, centre + half))


def test_the_interval_of_a_perfect_score_is_not_a_point():
    low, high = accuracy_interval(1.0, 20)
    assert low < 0.9
    assert high == pytest.approx(1.0)
