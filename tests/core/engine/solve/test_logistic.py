import gc

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tlf.engine.solve import logistic
from tlf.engine.solve.logistic import LinearFit, _Moments, _Problem, fit_logistic, path


def reference(features, labels, strength, classes, weights=None):
    """Return logits and standardised weights by scikit-learn."""
    scaled = StandardScaler().fit_transform(features.double().numpy())
    # Two classes have one vector of weights there, the difference of the two here.
    factor = 2 if classes == 2 else 1
    model = LogisticRegression(
        C=factor / (len(labels) * strength),
        tol=1e-10,
        max_iter=10000,
        solver="lbfgs",
        class_weight=None if weights is None else dict(enumerate(weights.tolist())),
    ).fit(scaled, labels.numpy())
    weight, bias = model.coef_, model.intercept_
    if classes == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return torch.from_numpy(weight), torch.from_numpy(bias - bias.mean())


def standardised(fit, features):
    """Return the weights and biases that a fit has on standardised features."""
    mean, deviation = features.double().mean(0), features.double().std(0, correction=0)
    bias = fit.bias.double() + fit.weight.double() @ mean
    return fit.weight.double() * deviation, bias - bias.mean()


@pytest.mark.parametrize("strength", [1e-3, 1e-1, 10.0])
@pytest.mark.parametrize(("width", "classes"), [(5, 2), (12, 4), (60, 3)])
def test_weights_are_those_of_scikit_learn(draw, stream, strength, width, classes):
    features, labels = draw(50, width, classes)
    fit = fit_logistic(stream(features, labels), width, classes, strength)
    weight, bias = standardised(fit, features)
    expected_weight, expected_bias = reference(features, labels, strength, classes)
    assert fit.converged
    torch.testing.assert_close(weight, expected_weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(bias, expected_bias, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strength", [1e-3, 1.0])
@pytest.mark.parametrize(("width", "classes"), [(5, 2), (12, 4)])
def test_weighted_classes_are_those_of_scikit_learn(draw, stream, strength, width, classes):
    features, labels = draw(50, width, classes)
    weights = torch.linspace(0.2, 3.0, classes)
    fit = fit_logistic(stream(features, labels), width, classes, strength, weights=weights)
    weight, bias = standardised(fit, features)
    expected_weight, expected_bias = reference(features, labels, strength, classes, weights)
    assert fit.converged
    torch.testing.assert_close(weight, expected_weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(bias, expected_bias, atol=1e-4, rtol=1e-4)


def test_loss_and_gradient_agree_with_autograd(draw, stream):
    features, labels = draw(50, 6, 3)
    problem = _Problem(stream(features, labels), 6, 3)
    generator = torch.Generator().manual_seed(1)
    parameters = torch.randn(3 * 6 + 3, generator=generator, dtype=torch.float64)
    loss, gradient = problem.objective(parameters.numpy(), 0.3)

    double = features.double()
    scaled = (double - double.mean(0)) / double.std(0, correction=0)
    parameters.requires_grad_()
    weight, bias = parameters[:18].view(3, 6), parameters[18:]
    expected = torch.nn.functional.cross_entropy(scaled @ weight.T + bias, labels)
    expected = expected + 0.3 / 2 * weight.square().sum()
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, parameters.grad.numpy(), atol=1e-12)


def test_the_loss_is_the_one_at_the_end(draw, stream):
    features, labels = draw(50, 6, 3)
    fit = fit_logistic(stream(features, labels), 6, 3, 0.1)
    weight, _ = standardised(fit, features)
    entropy = torch.nn.functional.cross_entropy(fit.logits(features).double(), labels)
    expected = float(entropy) + 0.05 * float(weight.square().sum())
    assert fit.loss == pytest.approx(expected, abs=1e-6)


def test_logits_on_features_as_they_come_are_those_on_standardised_ones(draw, stream):
    features, labels = draw(50, 6, 3)
    problem = _Problem(stream(features, labels), 6, 3)
    generator = torch.Generator().manual_seed(1)
    parameters = torch.randn(3 * 6 + 3, generator=generator, dtype=torch.float64)
    weight, bias = problem._fold(parameters)
    fit = LinearFit(weight, bias, 0.0, 0, True)
    scaled = torch.from_numpy(StandardScaler().fit_transform(features.double().numpy()))
    expected = scaled @ parameters[:18].view(3, 6).T + parameters[18:]
    torch.testing.assert_close(fit.logits(features).double(), expected, atol=1e-4, rtol=1e-5)
    back = problem._unfold(fit)
    torch.testing.assert_close(back[:18], parameters[:18], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_features_may_be_of_any_float_type(draw, stream, dtype):
    features, labels = draw(50, 6, 3)
    features = features.to(dtype)
    fit = fit_logistic(stream(features, labels), 6, 3, 0.1)
    same = fit_logistic(stream(features.double(), labels), 6, 3, 0.1)
    assert fit.weight.dtype == fit.bias.dtype == torch.float32
    assert fit.weight.equal(same.weight)


def test_streaming_changes_no_bit(draw, stream, monkeypatch):
    features, labels = draw(100, 6, 3)
    kept = fit_logistic(stream(features, labels), 6, 3, 1e-3)
    monkeypatch.setattr(logistic, "KEPT_BYTES", 99 * 6 * 8)
    assert _Problem(stream(features, labels), 6, 3)._kept is None
    streamed = fit_logistic(stream(features, labels), 6, 3, 1e-3)
    assert streamed.weight.equal(kept.weight)
    assert streamed.bias.equal(kept.bias)
    assert streamed.loss == kept.loss


def test_the_size_of_the_blocks_changes_rounding_only(draw, stream):
    features, labels = draw(100, 6, 3)
    fits = [fit_logistic(stream(features, labels, size), 6, 3, 1e-2) for size in (1, 7, 100)]
    for fit in fits[1:]:
        torch.testing.assert_close(fit.weight, fits[0].weight, atol=1e-5, rtol=1e-5)


def correlated(draw, count, width, classes):
    """Return features of which most are nearly sums of a few others, and labels."""
    features, labels = draw(count, width, classes)
    generator = torch.Generator().manual_seed(1)
    few = features[:, :4] @ torch.randn(4, width, generator=generator)
    return few + 0.05 * features, labels


@pytest.mark.parametrize("strength", [1e-4, 1e-2])
def test_correlated_features_take_few_steps(draw, stream, strength, monkeypatch):
    features, labels = correlated(draw, 600, 40, 3)
    fit = fit_logistic(stream(features, labels), 40, 3, strength)
    expected_weight, expected_bias = reference(features, labels, strength, 3)
    weight, bias = standardised(fit, features)
    assert fit.converged
    assert fit.iterations <= 50
    torch.testing.assert_close(weight, expected_weight, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(bias, expected_bias, atol=1e-3, rtol=1e-4)

    monkeypatch.setattr(logistic, "WIDEST", 39)
    plain = fit_logistic(stream(features, labels), 40, 3, strength)
    assert plain.converged
    assert plain.iterations > 2 * fit.iterations
    assert plain.loss == pytest.approx(fit.loss, rel=1e-6)
    torch.testing.assert_close(plain.logits(features), fit.logits(features), atol=2e-3, rtol=1e-3)


def test_few_images_of_many_features_are_not_preconditioned(draw, stream):
    few = _Problem(stream(*draw(20, 300, 2)), 300, 2)
    many = _Problem(stream(*draw(200, 300, 2)), 300, 2)
    assert few._variables(few._first(), 0.1).factor is None
    assert many._variables(many._first(), 0.1).factor is not None


def test_a_gradient_by_the_variables_is_what_differences_say(draw, stream):
    problem = _Problem(stream(*correlated(draw, 50, 6, 3)), 6, 3)
    variables = problem._variables(problem._first(), 0.1)
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(3 * 6 + 3, generator=generator, dtype=torch.float64).numpy()
    parameters = variables.parameters(values)
    np.testing.assert_allclose(variables.values(parameters), values, atol=1e-9)
    gradient = variables.gradient(problem.objective(parameters, 0.1)[1])
    for index, step in enumerate(np.eye(len(values)) * 1e-6):
        above, below = (
            problem.objective(variables.parameters(values + sign * step), 0.1)[0]
            for sign in (1, -1)
        )
        assert gradient[index] == pytest.approx((above - below) / 2e-6, abs=1e-6)


@pytest.mark.parametrize("strength", [1e-12, 1e-300])
def test_a_penalty_next_to_nothing_leaves_a_factor(draw, stream, strength):
    features, labels = draw(80, 6, 3)
    features = torch.cat([features, features[:, :3], torch.ones(80, 2)], dim=1)
    problem = _Problem(stream(features, labels), 11, 3)
    factor = problem._variables(problem._first(), strength).factor
    assert factor is not None
    assert factor.isfinite().all()


def test_blocks_are_merged_the_same_whether_kept_or_not(draw, stream, monkeypatch):
    features, labels = draw(900, 6, 3)
    kept = _Problem(stream(features, labels, 60), 6, 3)
    monkeypatch.setattr(logistic, "KEPT_BYTES", 0)
    streamed = _Problem(stream(features, labels, 60), 6, 3)
    blocks = [list(problem._blocks()) for problem in (kept, streamed)]
    assert [len(names) for _, names in blocks[0]] == [300, 300, 300]
    for (first, names), (second, others) in zip(*blocks, strict=True):
        assert first.equal(second)
        assert names.equal(others)
    assert torch.cat([names for _, names in blocks[0]]).equal(labels)


def test_the_same_features_give_the_same_fit(draw, stream):
    features, labels = draw(100, 6, 3)
    first, second = (fit_logistic(stream(features, labels), 6, 3, 1e-2) for _ in range(2))
    assert first.weight.equal(second.weight)
    assert first.bias.equal(second.bias)


def tensor_bytes():
    """Return how many bytes the tensors of this process hold."""
    tensors = [item for item in gc.get_objects() if type(item) is torch.Tensor]
    return sum(item.nbytes for item in tensors if item.layout is torch.strided)


def largest_memory(count, walks):
    """Return how many bytes a fit adds, at most, by the last block of one of the first walks."""
    largest = 0

    def blocks():
        nonlocal largest
        walks.append(count)
        generator = torch.Generator().manual_seed(0)
        for _ in range(count):
            labels = torch.arange(32) % 2
            yield torch.randn(32, 50, generator=generator) + labels[:, None], labels
        # A look takes long, so there are few.
        if len(walks) <= 3:
            largest = max(largest, tensor_bytes())

    before = tensor_bytes()
    fit_logistic(blocks, 50, 2, 1.0)
    return largest - before


def test_memory_does_not_grow_with_the_images_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(logistic, "KEPT_BYTES", 2 * 32 * 50 * 8)
    monkeypatch.setattr(logistic, "BLOCK", 32)
    walks = []
    few, many = largest_memory(4, walks), largest_memory(40, walks)
    # Two blocks are kept until the third shows that not all will be; then the parameters.
    assert many <= few + 1000
    assert walks.count(40) > 3


def test_features_that_are_few_are_walked_over_once():
    walks = []
    largest_memory(4, walks)
    assert walks == [4]


def test_a_path_gives_each_strength_what_it_gets_alone(draw, stream):
    features, labels = draw(80, 30, 3)
    blocks = stream(features, labels)
    fits = path(blocks, 30, 3, [0.01, 1.0, 0.1, 0.1])
    assert list(fits) == [1.0, 0.1, 0.01]
    for strength, fit in fits.items():
        alone = fit_logistic(blocks, 30, 3, strength)
        assert fit.converged
        torch.testing.assert_close(fit.weight, alone.weight, atol=1e-4, rtol=1e-4)
    # `alone` is the last and weakest: from the fit before it, it is nearer.
    assert fits[0.01].iterations < alone.iterations
    assert fits[1.0].loss > fits[0.1].loss > fits[0.01].loss


def test_a_fit_from_its_own_end_takes_no_more_than_a_few_steps(draw, stream):
    features, labels = draw(80, 30, 3)
    blocks = stream(features, labels)
    fit = fit_logistic(blocks, 30, 3, 0.01)
    again = fit_logistic(blocks, 30, 3, 0.01, start=fit)
    assert again.converged
    assert again.iterations <= fit.iterations / 3
    torch.testing.assert_close(again.weight, fit.weight, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strength", [1e-4, 1e-2, 10.0])
def test_classes_that_a_plane_separates_converge(draw, stream, strength):
    features, labels = draw(60, 100, 3, distance=20.0)
    fit = fit_logistic(stream(features, labels), 100, 3, strength)
    assert fit.converged
    assert fit.weight.isfinite().all()
    assert fit.logits(features).argmax(1).equal(labels)


def test_a_strong_penalty_leaves_the_shares_of_the_classes(draw, stream):
    features, labels = draw(80, 6, 3)
    fit = fit_logistic(stream(features, labels), 6, 3, 1e6)
    shares = labels.bincount() / len(labels)
    torch.testing.assert_close(fit.bias.softmax(0), shares, atol=1e-4, rtol=1e-4)
    assert fit.weight.abs().max() < 1e-4


@pytest.mark.parametrize("strength", [1e-4, 0.1])
def test_a_class_without_images_changes_nothing_for_the_others(draw, stream, strength):
    features, labels = draw(80, 6, 3)
    fit = fit_logistic(stream(features, labels * 2), 6, 6, strength)
    without = fit_logistic(stream(features, labels), 6, 3, strength)
    assert fit.converged
    assert fit.weight.isfinite().all()
    assert fit.bias.isfinite().all()
    probabilities = fit.logits(features).softmax(1)
    expected = without.logits(features).softmax(1)
    torch.testing.assert_close(probabilities[:, ::2], expected, atol=1e-4, rtol=1e-4)
    assert probabilities[:, 1::2].max() < 1e-9
    # Nor does the search follow the biases of classes without images on their way to minus infinity.
    assert fit.iterations <= without.iterations + 3


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_a_constant_feature_gets_no_weight(draw, stream, value):
    features, labels = draw(80, 6, 3)
    # With its rounding, as a backbone gives it that sums in another order for another batch.
    features[:, 2] = value
    features[::2, 2] = torch.nextafter(features[0, 2], torch.tensor(torch.inf))
    fit = fit_logistic(stream(features, labels), 6, 3, 0.1)
    without = fit_logistic(stream(features[:, [0, 1, 3, 4, 5]], labels), 5, 3, 0.1)
    assert fit.converged
    assert not fit.weight[:, 2].any()
    torch.testing.assert_close(fit.weight[:, [0, 1, 3, 4, 5]], without.weight, atol=1e-5, rtol=1e-5)
    again = fit_logistic(stream(features, labels), 6, 3, 0.1, start=fit)
    assert again.weight.isfinite().all()


def test_one_image_is_enough(stream):
    fit = fit_logistic(stream(torch.ones(1, 3), torch.tensor([1])), 3, 2, 0.1)
    assert fit.converged
    assert fit.logits(torch.ones(1, 3)).argmax() == 1


def test_a_fit_that_stops_early_says_so(draw, stream, monkeypatch):
    monkeypatch.setattr(logistic, "MAX_ITERATIONS", 2)
    features, labels = draw(80, 30, 3)
    fit = fit_logistic(stream(features, labels), 30, 3, 1e-3)
    assert not fit.converged
    assert fit.iterations == 2


def test_moments_lose_no_digits_where_the_mean_is_large(draw):
    features, _ = draw(1000, 4, 2)
    far = features.double() + 1e8
    moments = _Moments(4)
    for block in (*far.split(7), far[:0]):
        moments.add(block)
    expected = (far - 1e8).std(0, correction=0)
    assert moments.count == 1000
    torch.testing.assert_close(moments.deviation, expected, atol=0, rtol=1e-7)
    torch.testing.assert_close(moments.mean, far.mean(0), atol=0, rtol=1e-15)
