import pytest
import torch

from tlf.engine.solve import fit_logistic, solve_logistic, solve_neighbours
from tlf.engine.solve.neighbours import KnnHead
from tlf.errors import RunError


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_feature_that_is_not_finite_is_named(draw, stream, value):
    features, labels = draw(40, 3, 2)
    features[20, 1] = float(value)
    blocks = stream(features, labels)
    message = f"feature 2 of image 21 is `{value}`, and no head can be fitted on that"
    for fit in (
        lambda: fit_logistic(blocks, 3, 2, 1.0),
        lambda: KnnHead.from_blocks(blocks, 2, k=1),
        lambda: solve_logistic(blocks, None, blocks, 3, 2, [1.0]),
        lambda: solve_neighbours(blocks, None, blocks, 2, [1]),
    ):
        with pytest.raises(RunError) as caught:
            fit()
        assert caught.value.message == message
        assert "float32" in caught.value.hint


def test_features_of_the_images_held_out_are_looked_at_too(draw, stream):
    features, labels = draw(40, 3, 2)
    good = stream(features, labels)
    bad = stream(features.clone().fill_(torch.inf), labels)
    with pytest.raises(RunError, match="feature 1 of image 1 is `inf`"):
        solve_logistic(good, bad, good, 3, 2)
