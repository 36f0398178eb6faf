import json

import pytest
import torch

from tlf.engine.solve import KS, STRENGTHS, fit_logistic, hold_out, solve_logistic, solve_neighbours
from tlf.engine.solve.neighbours import KnnHead


@pytest.fixture
def parts(draw, stream):
    """Streams of the images to fit on, those to choose on, and all; then their tensors."""
    features, labels = draw(120, 30, 3, distance=0.5)
    fit, selection = hold_out(labels, seed=0)
    streams = [
        stream(features[indices], labels[indices])
        for indices in (fit, selection, torch.arange(len(labels)))
    ]
    return (*streams, (features, labels, fit, selection))


def never():
    raise AssertionError("a stream was walked over for nothing")


def score(logits, labels):
    loss = torch.nn.functional.cross_entropy(logits.double(), labels)
    return float(loss), float((logits.argmax(1) == labels).double().mean())


def test_the_strength_is_chosen_on_images_that_it_was_not_fitted_on(parts):
    fit_blocks, selection_blocks, all_blocks, (features, labels, _, selection) = parts
    _, record = solve_logistic(fit_blocks, selection_blocks, all_blocks, 30, 3)
    assert [candidate["strength"] for candidate in record["candidates"]] == list(STRENGTHS)
    for candidate in record["candidates"]:
        alone = fit_logistic(fit_blocks, 30, 3, candidate["strength"])
        loss, accuracy = score(alone.logits(features[selection]), labels[selection])
        assert candidate["loss"] == pytest.approx(loss, rel=1e-3)
        assert candidate["accuracy"] == pytest.approx(accuracy)
        assert candidate["converged"] is True
    best = min(record["candidates"], key=lambda candidate: candidate["loss"])
    assert record["chosen"] == best["strength"]
    assert 1e-4 < record["chosen"] < 10


def test_the_head_is_fitted_on_all_images(parts):
    fit_blocks, selection_blocks, all_blocks, _ = parts
    fit, record = solve_logistic(fit_blocks, selection_blocks, all_blocks, 30, 3)
    alone = fit_logistic(all_blocks, 30, 3, record["chosen"])
    torch.testing.assert_close(fit.weight, alone.weight, atol=1e-3, rtol=1e-3)
    assert fit.iterations < alone.iterations
    assert (record["loss"], record["iterations"]) == (fit.loss, fit.iterations)
    assert record["converged"] is True


def test_one_strength_needs_no_choice(parts):
    all_blocks = parts[2]
    fit, record = solve_logistic(never, None, all_blocks, 30, 3, [0.1])
    assert fit.weight.equal(fit_logistic(all_blocks, 30, 3, 0.1).weight)
    assert record["candidates"] == []
    assert record["chosen"] == 0.1


def test_k_is_chosen_on_images_that_do_not_vote(parts):
    fit_blocks, selection_blocks, all_blocks, (features, labels, _, selection) = parts
    head, record = solve_neighbours(fit_blocks, selection_blocks, all_blocks, 3)
    assert [candidate["k"] for candidate in record["candidates"]] == list(KS)
    for candidate in record["candidates"]:
        alone = KnnHead.from_blocks(fit_blocks, 3, k=candidate["k"])
        found = (candidate["loss"], candidate["accuracy"])
        assert found == pytest.approx(score(alone(features[selection]), labels[selection]))
    best = max(candidate["accuracy"] for candidate in record["candidates"])
    chosen = {candidate["k"]: candidate for candidate in record["candidates"]}[record["chosen"]]
    assert chosen["accuracy"] == best
    assert head.k == record["chosen"]
    assert len(head.labels) == len(labels)


def test_ks_beyond_the_images_are_tried_as_one(parts, draw, stream):
    selection_blocks, all_blocks = parts[1:3]
    few = stream(*draw(7, 30, 3))
    head, record = solve_neighbours(few, selection_blocks, all_blocks, 3)
    assert [candidate["k"] for candidate in record["candidates"]] == [1, 5, 7]
    assert head.k in (1, 5, 7)


def test_one_k_needs_no_choice(parts):
    head, record = solve_neighbours(never, None, parts[2], 3, [500])
    assert head.k == 120
    assert record == {"candidates": [], "chosen": 120}


@pytest.mark.parametrize("selection_blocks", [None, lambda: ()])
def test_several_settings_need_images_to_choose_on(parts, selection_blocks):
    fit_blocks, _, all_blocks, _ = parts
    with pytest.raises(ValueError, match="no images to choose one on"):
        solve_logistic(fit_blocks, selection_blocks, all_blocks, 30, 3)
    with pytest.raises(ValueError, match="no images to choose one on"):
        solve_neighbours(fit_blocks, selection_blocks, all_blocks, 3)


def test_records_are_plain_data_and_streams_stay_in_order(parts):
    first, second = (
        [
            solve_logistic(*parts[:3], 30, 3)[1],
            solve_neighbours(*parts[:3], 3)[1],
        ]
        for _ in range(2)
    )
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert first == second


def test_features_drawn_in_inference_mode_will_do(parts):
    blocks = parts[2]

    def inferred():
        with torch.inference_mode():
            for features, labels in blocks():
                yield features.clone(), labels.clone()

    fit, _ = solve_logistic(inferred, inferred, inferred, 30, 3, [1.0, 0.1])
    assert fit.weight.isfinite().all()
    head, _ = solve_neighbours(inferred, inferred, inferred, 3, [1, 5])
    assert head(torch.ones(1, 30)).isfinite().all()
