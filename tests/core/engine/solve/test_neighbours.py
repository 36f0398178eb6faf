import copy

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from tlf.engine.solve import neighbours
from tlf.engine.solve.neighbours import KnnHead, _nearest


@pytest.mark.parametrize("k", [1, 5, 20])
def test_votes_are_those_of_scikit_learn(draw, stream, k):
    features, labels = draw(100, 8, 3)
    queries, _ = draw(30, 8, 3, seed=1)
    head = KnnHead.from_blocks(stream(features, labels), 3, k=k)
    model = KNeighborsClassifier(
        n_neighbors=k, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07)
    ).fit(features.double().numpy(), labels.numpy())
    expected = torch.from_numpy(model.predict_proba(queries.double().numpy()))
    found = head(queries)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    torch.testing.assert_close(found.softmax(1).double(), expected, atol=1e-5, rtol=1e-5)


def test_the_softmax_gives_the_votes(stream):
    features = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [3.0, 4.0]])
    labels = torch.tensor([0, 1, 0, 2])
    head = KnnHead.from_blocks(stream(features, labels), 4, k=3, temperature=0.5)
    weights = torch.tensor([1.0, 0.0, 0.6]).div(0.5).exp()
    expected = torch.tensor([[weights[0], weights[1], weights[2], 0.0]]) / weights.sum()
    found = head(torch.tensor([[7.0, 0.0]])).softmax(1)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-6)


def test_a_class_without_images_gets_a_low_finite_logit(draw, stream):
    features, labels = draw(40, 8, 2)
    found = KnnHead.from_blocks(stream(features, labels), 5, k=10)(features)
    assert found.shape == (40, 5)
    assert found.isfinite().all()
    assert found.softmax(1)[:, 2:].max() < 1e-7


def test_k_is_cut_to_the_stored_images(draw, stream):
    features, labels = draw(10, 8, 2)
    head = KnnHead.from_blocks(stream(features, labels), 2, k=50)
    assert head.k == 10
    assert head(features).equal(head.with_k(10)(features))


def test_heads_of_another_k_share_the_images(draw, stream):
    features, labels = draw(40, 8, 2)
    head = KnnHead.from_blocks(stream(features, labels), 2, k=20, temperature=0.1)
    other = head.with_k(3)
    assert other.features is head.features
    assert (other.k, other.temperature, head.k) == (3, 0.1, 20)
    alone = KnnHead.from_blocks(stream(features, labels), 2, k=3, temperature=0.1)
    assert other(features).equal(alone(features))


def test_of_equally_similar_images_the_first_ones_vote():
    similarity = torch.tensor([[0.5, 0.9, 0.5, 0.5, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2]])
    assert _nearest(similarity, 3).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert _nearest(similarity, 5).tolist() == [[0, 1, 2, 3, 4]] * 2


def test_a_query_without_length_gets_the_first_images():
    head = KnnHead(torch.eye(4), torch.tensor([1, 0, 0, 0]), 2, k=1)
    assert head(torch.zeros(1, 4)).softmax(1)[0].tolist() == pytest.approx([0, 1], abs=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_length_of_the_features_does_not_matter(draw, stream, scale):
    features, labels = draw(40, 8, 2)
    head = KnnHead.from_blocks(stream(features, labels), 2, k=5)
    far = KnnHead.from_blocks(stream(features * scale, labels), 2, k=5)
    torch.testing.assert_close(far(features * scale), head(features), atol=1e-4, rtol=1e-4)


def test_memory_is_bounded_whatever_the_batch(draw, stream, monkeypatch):
    features, labels = draw(40, 8, 2)
    head = KnnHead.from_blocks(stream(features, labels), 2, k=5)
    whole = head(features)
    seen = []

    def watched(similarity, k):
        seen.append(tuple(similarity.shape))
        return _nearest(similarity, k)

    monkeypatch.setattr(neighbours, "SIMILARITIES", 3 * 40)
    monkeypatch.setattr(neighbours, "_nearest", watched)
    torch.testing.assert_close(head(features), whole, atol=1e-5, rtol=1e-5)
    assert set(seen) == {(3, 40), (1, 40)}
    monkeypatch.setattr(neighbours, "SIMILARITIES", 1)
    torch.testing.assert_close(head(features), whole, atol=1e-5, rtol=1e-5)


def test_an_image_with_a_feature_that_is_not_finite_gets_no_numbers(draw, stream):
    features, labels = draw(40, 8, 2)
    head = KnnHead.from_blocks(stream(features, labels), 2, k=5)
    whole = head(features)
    features[3, 2], features[5, 0] = torch.nan, torch.inf
    found = head(features)
    assert found.isnan().any(dim=1).nonzero().flatten().tolist() == [3, 5]
    good = found.isfinite().all(dim=1)
    torch.testing.assert_close(found[good], whole[good], atol=1e-5, rtol=1e-5)


def test_state_and_copies_hold_the_images(draw, stream):
    features, labels = draw(40, 8, 2)
    head = KnnHead.from_blocks(stream(features.half(), labels), 2, k=5)
    state = head.state_dict()
    assert {name: tensor.dtype for name, tensor in state.items()} == {
        "features": torch.float32,
        "labels": torch.int64,
    }
    empty = KnnHead(torch.zeros(40, 8), torch.zeros(40, dtype=torch.int64), 2, k=5)
    empty.load_state_dict(state)
    assert empty(features).equal(head(features))
    assert copy.deepcopy(head)(features).equal(head(features))
    assert head(features[:0]).shape == (0, 2)
