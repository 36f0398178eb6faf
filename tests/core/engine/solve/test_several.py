"""Heads that are solved for where an image may have any number of classes."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from tlf.engine.solve import KnnHead, fit_logistic, solve_logistic, solve_neighbours


@pytest.fixture
def several():
    """Features of 60 images, and labels of four classes, the last of them rare."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 8, generator=generator) * 3 + 2
    directions = torch.randn(8, 4, generator=generator)
    noise = torch.randn(60, 4, generator=generator) * 4
    bars = torch.tensor([0.0, 2.0, 8.0, 16.0])
    labels = ((features - 2) @ directions + noise > bars).float()
    assert 0 < labels[:, 3].sum() < 12
    return features, labels


@pytest.mark.parametrize("strength", [1e-2, 1.0])
def test_weights_are_those_of_a_logistic_regression_for_each_class(several, stream, strength):
    features, labels = several
    fit = fit_logistic(stream(features, labels), 8, 4, strength)
    assert fit.converged
    scaled = StandardScaler().fit_transform(features.double().numpy())
    logits = fit.logits(features).numpy()
    for one in range(4):
        model = LogisticRegression(C=1 / (60 * strength), tol=1e-10, max_iter=10000)
        model.fit(scaled, labels[:, one].numpy())
        np.testing.assert_allclose(logits[:, one], model.decision_function(scaled), atol=2e-3)


def test_a_class_without_images_ends_near_never(several, stream):
    features, labels = several
    labels[:, 2] = 0
    fit = fit_logistic(stream(features, labels), 8, 4, 0.1)
    assert fit.converged
    assert float(fit.logits(features)[:, 2].max()) < -10


def test_the_strength_is_chosen_by_the_loss_on_other_images(several, stream):
    features, labels = several
    fitted, held = stream(features[:40], labels[:40]), stream(features[40:], labels[40:])
    _, record = solve_logistic(fitted, held, stream(features, labels), 8, 4, (10.0, 0.1, 0.001))
    for candidate in record["candidates"]:
        fit = fit_logistic(fitted, 8, 4, candidate["strength"])
        logits = fit.logits(features[40:])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[40:])
        assert candidate["loss"] == pytest.approx(float(loss), rel=1e-3)
        shown = [one for one in range(4) if labels[40:, one].any()]
        precision = np.mean([average_precision_score(labels[40:, n], logits[:, n]) for n in shown])
        assert candidate["mean-average-precision"] == pytest.approx(precision, rel=1e-3)
    best = min(record["candidates"], key=lambda one: one["loss"])
    assert record["chosen"] == best["strength"]


def test_neighbours_vote_for_and_against_each_class():
    stored = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    labels = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    head = KnnHead(stored, labels, 3, k=2, temperature=0.5)
    query = torch.tensor([[2.0, 0.0]])
    weights = torch.tensor([1.0, 0.8]).div(0.5).softmax(dim=0)
    probabilities = head(query).sigmoid()[0]
    assert float(probabilities[0]) == pytest.approx(float(weights[0]), rel=1e-4)
    assert float(probabilities[1]) > 0.999999
    assert float(probabilities[2]) < 1e-6


def test_k_is_chosen_by_the_mean_average_precision(several, stream):
    features, labels = several
    fitted, held = stream(features[:40], labels[:40]), stream(features[40:], labels[40:])
    head, record = solve_neighbours(fitted, held, stream(features, labels), 4, (1, 5, 20))
    best = max(one["mean-average-precision"] for one in record["candidates"])
    assert (
        next(one["mean-average-precision"] for one in record["candidates"] if one["k"] == head.k)
        == best
    )
    assert head.labels.shape == (60, 4)
