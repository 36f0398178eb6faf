"""Loss, metrics, intervals and thresholds of any number of classes, against their definitions."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from tlf.engine.metrics import METRICS, Evaluation, check_metrics, measure
from tlf.engine.multilabel.loss import multilabel_loss
from tlf.engine.multilabel.metrics import _resampled, mean_average_precision_interval
from tlf.engine.multilabel.thresholds import choose_thresholds
from tlf.errors import SpecError

LABELS = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
SCORES = torch.tensor([[0.9, 0.4, 0.2], [0.6, 0.3, 0.1], [0.2, 0.8, 0.7], [0.7, 0.1, 0.3]])


def evaluation(labels=LABELS, scores=SCORES, **more):
    return Evaluation(scores.logit(), labels, **more)


def test_the_loss_is_the_mean_of_the_binary_cross_entropies():
    expected = 0.0
    for labels, scores in zip(LABELS.tolist(), SCORES.tolist(), strict=True):
        for label, score in zip(labels, scores, strict=True):
            expected -= math.log(score if label else 1 - score) / 12
    assert float(multilabel_loss(SCORES.logit(), LABELS)) == pytest.approx(expected, rel=1e-5)
    assert measure(evaluation(), ("micro-f1",))["loss"] == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_draws_targets_toward_a_half():
    smoothed = multilabel_loss(SCORES.logit(), LABELS, label_smoothing=0.2)
    by_hand = torch.nn.functional.binary_cross_entropy(SCORES, 0.8 * LABELS + 0.1)
    assert float(smoothed) == pytest.approx(float(by_hand), rel=1e-5)


def test_metrics_agree_with_counting_by_hand():
    found = measure(evaluation())
    assert tuple(found) == (*METRICS["multi-label"], "loss")
    # Of both first classes the order is 1 0 1 0; the third is shown by no image.
    precisions = [(1 + 2 / 3) / 2, (1 + 2 / 3) / 2]
    assert found["mean-average-precision"] == pytest.approx(sum(precisions) / 2)
    # Named at 0.5: the first class by images 0, 1, 3; the second by 2; the third by 2.
    assert found["micro-f1"] == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    assert found["macro-f1"] == pytest.approx((2 * 2 / 5 + 2 * 1 / 3 + 0) / 3)
    assert found["subset-accuracy"] == pytest.approx(1 / 4)


def test_each_class_is_named_from_its_own_threshold_on():
    found = measure(evaluation(thresholds=(0.75, 0.25, 0.71)))
    # Images 0, then 0 1 2, then none.
    assert found["micro-f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert found["subset-accuracy"] == pytest.approx(2 / 4)


def test_where_no_image_shows_any_class_there_is_no_precision_to_average():
    found = measure(evaluation(torch.zeros(4, 3)))
    assert "mean-average-precision" not in found
    assert all(math.isfinite(value) for value in found.values())


def test_the_interval_is_that_of_a_bootstrap_over_images():
    generator = np.random.default_rng(3)
    labels = generator.random((60, 4)) < (0.5, 0.3, 0.1, 0.0)
    scores = (labels * 0.6 + generator.random((60, 4))).round(1)
    low, high = mean_average_precision_interval(labels, scores)
    assert (low, high) == mean_average_precision_interval(labels, scores)
    # The first of the samples that were drawn, each measured by scikit-learn.
    counts = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=1000)
    means = []
    for count in counts[:60]:
        rows = np.repeat(np.arange(60), count)
        shown = [one for one in range(3) if labels[rows, one].any()]
        found = [average_precision_score(labels[rows, n], scores[rows, n]) for n in shown]
        means.append(np.mean(found))
    assert 0 < low < np.mean(means) < high < 1
    assert 0.88 < np.mean([low <= one <= high for one in means]) <= 1


def test_each_sample_of_the_bootstrap_is_measured_exactly():
    generator = np.random.default_rng(5)
    labels = generator.random(40) < 0.3
    scores = generator.random(40).round(1)
    counts = generator.multinomial(40, np.full(40, 1 / 40), size=20)
    found = _resampled(labels, scores, counts)
    for count, value in zip(counts, found, strict=True):
        rows = np.repeat(np.arange(40), count)
        assert value == pytest.approx(average_precision_score(labels[rows], scores[rows]))


def test_of_labels_that_no_image_has_there_is_no_interval():
    assert mean_average_precision_interval(np.zeros((5, 2), bool), np.zeros((5, 2))) is None


def f1_at(labels, scores, threshold):
    named = scores >= threshold
    return 2 * (named & labels).sum() / max(named.sum() + labels.sum(), 1)


def test_thresholds_have_the_highest_f1_of_all_that_there_are():
    generator = np.random.default_rng(1)
    labels = generator.random((80, 5)) < (0.5, 0.3, 0.1, 0.05, 0.02)
    labels[0, 4] = True
    scores = (labels * 0.3 + generator.random((80, 5)) * 0.7).round(2)
    found = choose_thresholds(labels, scores)
    for one in range(5):
        best = max(f1_at(labels[:, one], scores[:, one], t) for t in np.linspace(0, 1.01, 2000))
        assert f1_at(labels[:, one], scores[:, one], found[one]) == pytest.approx(best)
        assert 0 <= found[one] <= 1


def test_a_class_that_no_image_shows_or_all_do_keeps_a_half():
    labels = np.array([[False, True], [False, True]])
    assert choose_thresholds(labels, np.array([[0.1, 0.2], [0.3, 0.4]])).tolist() == [0.5, 0.5]


def test_thresholds_are_chosen_on_other_images_than_those_measured():
    chosen = Evaluation(
        torch.tensor([[0.2], [0.3], [0.9]]).logit(), torch.tensor([[0.0], [1.0], [1.0]])
    )
    measured = Evaluation(torch.tensor([[0.27], [0.1]]).logit(), torch.tensor([[1.0], [0.0]]))
    found = measured.with_thresholds(chosen, "validation")
    assert found.thresholds == pytest.approx((0.25,))
    assert found.thresholds_chosen_on == "validation"
    assert measure(measured)["subset-accuracy"] == 0.5
    assert measure(found)["subset-accuracy"] == 1.0


@pytest.mark.parametrize(
    ("name", "task", "hint"),
    [
        ("accuracy", "multi-label", "did you mean `subset-accuracy`?"),
        ("top-5-accuracy", "multi-label", "subset-accuracy"),
        ("micro-f1", "single-label", "did you mean `macro-f1`?"),
        ("mean-average-precision", "single-label", "choose from"),
    ],
)
def test_a_metric_that_does_not_fit_the_data_is_refused_with_one_that_does(name, task, hint):
    check_metrics(None, task)
    check_metrics(METRICS[task], task)
    with pytest.raises(SpecError) as caught:
        check_metrics(("macro-f1", name), task)
    (problem,) = caught.value.problems
    assert problem.path == "evaluation.metrics.1"
    assert problem.message == f"`{name}` does not fit the data, which are {task}"
    assert hint in problem.hint
