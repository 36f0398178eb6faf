"""Features in a plane."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from tlf.engine.analysing.embedding import ENOUGH_FOR_TSNE, MOST_POINTS, embed, sample


def clusters(count, width=64):
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    centres = 4 * generator.normal(size=(3, width))
    return labels, (centres[labels] + generator.normal(size=(count, width))).astype(np.float32)


@pytest.mark.parametrize("count", [20, ENOUGH_FOR_TSNE, 120])
def test_what_is_together_stays_together(count):
    labels, features = clusters(count)
    method, plane = embed(features)
    assert ("t-SNE" in method.partition(" of ")[0]) == (count >= ENOUGH_FOR_TSNE)
    assert len(plane) == count
    neighbours = KNeighborsClassifier(3).fit(plane, labels)
    assert neighbours.score(plane, labels) == 1.0


def test_few_images_lie_where_their_first_two_principal_components_say():
    _, features = clusters(12)
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    _, plane = embed(features)
    assert np.abs(plane) == pytest.approx(np.abs(u[:, :2] * s[:2]), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("count", [20, 80])
def test_the_same_features_give_the_same_points(count):
    _, features = clusters(count)
    assert embed(features) == embed(features)


def test_features_of_one_number_are_a_line():
    _, plane = embed(np.arange(60, dtype=np.float32)[:, None])
    assert {y for _, y in plane} == {0.0}


def test_of_many_images_the_same_ones_are_shown_every_time():
    assert sample(7) == list(range(7))
    drawn = sample(3 * MOST_POINTS)
    assert drawn == sorted(set(drawn)) == sample(3 * MOST_POINTS)
    assert len(drawn) == MOST_POINTS
