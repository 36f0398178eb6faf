"""Logistic regression on a stream of features, by L-BFGS over all images at once.

Multinomial; where an image may have any number of classes, one of yes or no for each class, all of them
at once: their losses are added up, and share nothing.

The loss is strictly convex in the weights, so the answer depends on the features alone: no learning
rate, no epochs, no seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from scipy.optimize import minimize
from torch.nn.functional import binary_cross_entropy_with_logits

from tlf.engine.solve.blocks import Blocks, checked

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Up to this many bytes of float64 the standardised features stay in memory: 64 MiB of float32.
KEPT_BYTES = 2**27

#: L-BFGS steps after which a fit stops, converged or not.
MAX_ITERATIONS = 1000

#: Steps that L-BFGS remembers. Weak penalties make narrow valleys, for which 10, the default of SciPy,
#: are few.
MEMORY = 20

#: Images that a block has at least, but for the last: with fewer, the products of matrices take up to
#: half as long again. More no longer stay in the processor's cache between the two products of a step.
BLOCK = 256

#: The search is preconditioned up to this many features. For more, the matrices
#: `(width, width)` take over 300 MB, and each Cholesky factor more than a second on one core.
WIDEST = 4096

#: And where the preconditioner costs at most as many steps of the search as this. It saves hundreds
#: where penalties are weak.
WORTH = 100

#: How much smaller the gradient has to be at the end of a search that is preconditioned. What is left
#: of it there lies where the curvature is small, and so farther from the minimum than it looks: held
#: out, losses differed from the best fit's by 1e-5 of their size without this, by 3e-6 with it.
PRECONDITIONED = 0.1

#: Least curvature that the biases are scaled by, where all images are about certain.
LEAST_CURVATURE = 1e-6

#: Images that a class without images is taken to have where the search starts. Its best bias is minus
#: infinity; from here its gradient is too small to send the search after that.
ABSENT = 1e-9


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear head, for features as they come: no need to standardise them.

    Attributes:
        weight: Float32 `(classes, width)`.
        bias: Float32 `(classes,)`.
        loss: What was minimised, at its end: mean cross-entropy in nats, plus the penalty.
        iterations: Steps of L-BFGS.
        converged: Whether the gradient became small enough.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    loss: float
    iterations: int
    converged: bool

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits `(n, classes)`, float32.

        Args:
            features: As the backbone makes them, `(n, width)`.
        """
        return torch.nn.functional.linear(features.float(), self.weight, self.bias)


def fit_logistic(
    blocks: Blocks,
    width: int,
    classes: int,
    strength: float,
    start: LinearFit | None = None,
    weights: torch.Tensor | None = None,
) -> LinearFit:
    """Minimise mean cross-entropy + strength / 2 ‖W‖², W on standardised features.

    Of labels `(n, classes)` it is the sum over classes of the binary cross-entropy.

    The biases carry no penalty. The optimiser is L-BFGS-B (Byrd et al. 1995,
    https://doi.org/10.1137/0916069) without bounds, in float64, preconditioned where `_Variables`
    says.

    Args:
        blocks: Features and labels of at least one image.
        width: Features an image has.
        classes: How many there are, at least 2; one may have no images.
        strength: Of the penalty, more than 0. For `N` images it is `1 / (N C)` with the `C` of
            scikit-learn, and for two classes that exclude each other, which have one vector of weights
            there, `2 / (N C)`.
        start: A fit to start from, of a penalty or of images nearly the same.
        weights: What an image of each class counts for in the mean, `(classes,)`, at least 0; None for
            1. The features are standardised as if all counted alike.

    Raises:
        RunError: A feature is infinite or not a number.
    """
    return _Problem(blocks, width, classes, weights).solve(strength, start)


def path(
    blocks: Blocks,
    width: int,
    classes: int,
    strengths: Sequence[float],
    weights: torch.Tensor | None = None,
) -> dict[float, LinearFit]:
    """Fit one head for each strength, each from the fit before it, the strongest first.

    A strong penalty keeps the weights near 0 and needs few steps; every next one needs few from there
    (Friedman et al. 2010, https://doi.org/10.18637/jss.v033.i01).

    Args:
        blocks: Features and labels of at least one image.
        width: Features an image has.
        classes: How many there are, at least 2.
        strengths: Of the penalty, all more than 0.
        weights: Of the classes, see `fit_logistic`.

    Returns:
        The fits by strength, in falling order.

    Raises:
        RunError: A feature is infinite or not a number.
    """
    problem = _Problem(blocks, width, classes, weights)
    fits: dict[float, LinearFit] = {}
    fit: LinearFit | None = None
    for strength in sorted(set(strengths), reverse=True):
        fit = fits[strength] = problem.solve(strength, fit)
    return fits


class _Problem:
    """The images of a fit, standardised.

    Parameters are one float64 vector: the weights `(classes, width)` row by row, then the biases.
    """

    def __init__(
        self, blocks: Blocks, width: int, classes: int, weights: torch.Tensor | None = None
    ) -> None:
        self.width = width
        self.classes = classes
        self.weights = None if weights is None else weights.double()
        #: Whether an image may have any number of classes; known from the first look on.
        self.several = False
        self._source = blocks
        self._kept: list[tuple[torch.Tensor, torch.Tensor]] | None = []
        self._moments = _Moments(width)
        self._counts = torch.zeros(classes, dtype=torch.int64)
        self._look()
        self.mean = self._moments.mean
        self.inverse_deviation = _inverse(self._moments.deviation, self.mean)
        if self._kept is not None:
            # One block after the other: at no time is everything there twice.
            for index, (features, labels) in enumerate(self._kept):
                self._kept[index] = (self._standardise(features), labels)

    def _look(self) -> None:
        """Walk over the images once, for their statistics; keep them if they are few.

        Kept blocks are the very ones that another walk would give, in float64 like those: the result is
        the same to the last bit. What is saved is the walk, which may run the backbone.
        """
        for block, labels in _merged(self._source):
            self._moments.add(block)
            self.several = labels.is_floating_point()
            if self.several:
                self._counts += labels.sum(dim=0).long()
            else:
                self._counts += labels.bincount(minlength=self.classes)
            if self._moments.count * self.width * 8 > KEPT_BYTES:
                self._kept = None
            if self._kept is not None:
                self._kept.append((block, labels))

    def _standardise(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self.mean) * self.inverse_deviation

    def _blocks(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if self._kept is not None:
            yield from self._kept
            return
        for features, labels in _merged(self._source):
            yield self._standardise(features), labels

    def solve(self, strength: float, start: LinearFit | None) -> LinearFit:
        parameters = self._first() if start is None else self._unfold(start)
        variables = self._variables(parameters, strength)
        tolerance = _tolerance(strength)
        if variables.factor is not None:
            tolerance *= PRECONDITIONED
        largest = torch.inf

        def objective(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            nonlocal largest
            loss, gradient = self.objective(variables.parameters(values), strength)
            largest = float(abs(gradient).max())
            return loss, variables.gradient(gradient)

        def stop(_: object) -> None:
            # SciPy would look at the gradient by the variables. A step ends where the last one was.
            if largest <= tolerance:
                raise StopIteration

        values = variables.values(parameters.numpy())
        loss, _ = objective(values)
        iterations = 0
        if largest > tolerance:
            result = minimize(
                objective,
                values,
                method="L-BFGS-B",
                jac=True,
                callback=stop,
                options={
                    "maxiter": MAX_ITERATIONS,
                    "maxfun": 10 * MAX_ITERATIONS,
                    "maxcor": MEMORY,
                    # Only the gradient says whether the minimum is near; the loss may stand still
                    # before.
                    "ftol": 0.0,
                    "gtol": 0.0,
                },
            )
            values, loss, iterations = result.x, float(result.fun), int(result.nit)
        weight, bias = self._fold(torch.from_numpy(variables.parameters(values)))
        return LinearFit(weight, bias, loss, iterations, largest <= tolerance)

    @torch.no_grad()
    def _variables(self, parameters: torch.Tensor, strength: float) -> _Variables:
        """Return what to search over from these parameters."""
        images, width = self._moments.count, self.width
        # A step multiplies 2 images * width * classes times, a factor takes width³ / 6, and the Gram
        # matrix images * width², but at least four times faster: it is a product of thick matrices.
        steps = width * (width / 12 + images / 8) / (images * self.classes)
        if width > WIDEST or steps > WORTH:
            return _Variables(None, 1.0, width)
        weight, bias = self._split(parameters)
        # Float32 will do: no digit of the answer depends on it.
        gram = torch.zeros(width, width)
        curvature = 0.0
        for features, labels in self._blocks():
            logits = torch.addmm(bias[:, None], weight, features.T)
            probabilities = logits.sigmoid() if self.several else logits.softmax(dim=0)
            # The mean over the classes of p (1 - p); probabilities that exclude each other sum up to 1.
            total = probabilities.sum(dim=0) if self.several else 1
            curvatures = (total - probabilities.square().sum(dim=0)).clamp_min(0) / self.classes
            if self.weights is not None:
                curvatures *= self.weights[labels]
            curvature += float(curvatures.sum())
            scaled = (features * curvatures.sqrt()[:, None]).float()
            gram.addmm_(scaled.T, scaled)
        hessian = gram.double() / images
        # No eigenvalue is above the trace; rounding moves them by less than what is added.
        rounding = 10 * torch.finfo(gram.dtype).eps * float(hessian.trace())
        hessian.diagonal().add_(max(strength, rounding))
        scale = max(curvature / images, LEAST_CURVATURE) ** 0.5
        return _Variables(torch.linalg.cholesky(hessian), scale, width)

    @torch.no_grad()
    def objective(
        self, parameters: npt.NDArray[np.float64], strength: float
    ) -> tuple[float, npt.NDArray[np.float64]]:
        """Return the loss and its gradient.

        Args:
            parameters: The vector.
            strength: Of the penalty.
        """
        weight, bias = self._split(torch.from_numpy(parameters))
        total = 0.0
        gradient = torch.zeros(len(parameters), dtype=torch.float64)
        weight_gradient, bias_gradient = self._split(gradient)
        for features, labels in self._blocks():
            # A row a class and a column an image: faster than the other way around.
            logits = torch.addmm(bias[:, None], weight, features.T)
            loss, residual = (
                _binary(logits, labels)
                if self.several
                else _multinomial(logits, labels, self.weights)
            )
            total += loss
            weight_gradient.addmm_(residual, features)
            bias_gradient += residual.sum(dim=1)
        gradient /= self._moments.count
        weight_gradient += strength * weight
        loss = total / self._moments.count + strength / 2 * float(weight.square().sum())
        return loss, gradient.numpy()

    def _first(self) -> torch.Tensor:
        """Return where to start: no weights, biases that give each class its share."""
        counts = self._counts.double()
        if self.weights is not None:
            counts *= self.weights
        bias = counts.clamp_min(ABSENT).log()
        if self.several:
            bias = bias - (self._moments.count - counts).clamp_min(ABSENT).log()
        weights = torch.zeros(self.classes * self.width, dtype=torch.float64)
        return torch.cat([weights, self._centred(bias)])

    def _centred(self, bias: torch.Tensor) -> torch.Tensor:
        """Return biases of which only the differences count with the mean 0; others as they are."""
        return bias if self.several else bias - bias.mean()

    def _split(self, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weights = self.classes * self.width
        return parameters[:weights].view(self.classes, self.width), parameters[weights:]

    def _fold(self, parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias for features that are not standardised, float32."""
        weight, bias = self._split(parameters)
        weight = weight * self.inverse_deviation
        return weight.float(), (bias - weight @ self.mean).float()

    def _unfold(self, fit: LinearFit) -> torch.Tensor:
        """Return the parameters that `_fold` made a fit of."""
        weight = fit.weight.double()
        bias = fit.bias.double() + weight @ self.mean
        return torch.cat([(weight * self._moments.deviation).flatten(), self._centred(bias)])


def _multinomial(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
) -> tuple[float, torch.Tensor]:
    """Return the summed cross-entropy of a block, and its gradient by the logits.

    Args:
        logits: Float64 `(classes, n)`.
        labels: Int64 `(n,)`.
        weights: What an image of each class counts for, float64 `(classes,)`; None for 1.
    """
    log_probabilities = logits.log_softmax(dim=0)
    picked = labels[None]
    of_label = log_probabilities.gather(0, picked)
    counted = None if weights is None else weights[picked]
    loss = -float((of_label if counted is None else of_label * counted).sum())
    # The probabilities, less 1 at the label.
    residual = log_probabilities.exp_()
    residual.scatter_add_(0, picked, residual.new_full(picked.shape, -1.0))
    if counted is not None:
        residual *= counted
    return loss, residual


def _binary(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Return the binary cross-entropy of a block, summed, and its gradient by the logits.

    Args:
        logits: Float64 `(classes, n)`; they are overwritten.
        labels: 0 or 1, float `(n, classes)`.
    """
    targets = labels.T.to(logits.dtype)
    loss = float(binary_cross_entropy_with_logits(logits, targets, reduction="sum"))
    return loss, logits.sigmoid_().sub_(targets)


@dataclass(frozen=True)
class _Variables:
    """What the search is over: `W L` and the scaled biases, for which it takes fewer steps.

    The Hessian of the loss by the weights of a class is about `L Lᵀ`, the mean over the classes where
    the search starts: `Σ p (1 - p) x xᵀ / N + strength I`. By `W L` it is about the identity. This is
    the bound of Böhning (1992, https://doi.org/10.1007/BF00048682) with the curvatures that the images
    have in the place of the largest possible, and preconditioning as of Nocedal and Wright (2006,
    https://doi.org/10.1007/978-0-387-40065-5, chapter 5.1).

    Attributes:
        factor: `L`, lower triangular `(width, width)`; None if the search is over the weights.
        scale: What biases are multiplied by.
        width: Features an image has.
    """

    factor: torch.Tensor | None
    scale: float
    width: int

    def values(self, parameters: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the variables of the parameters."""
        if self.factor is None:
            return parameters
        weight, bias = self._split(parameters)
        return self._joined(weight @ self.factor, bias * self.scale)

    def parameters(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the parameters of the variables."""
        return self._solved(values, transposed=False)

    def gradient(self, gradient: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the gradient by the variables of the one by the parameters."""
        return self._solved(gradient, transposed=True)

    def _solved(
        self, vector: npt.NDArray[np.float64], *, transposed: bool
    ) -> npt.NDArray[np.float64]:
        if self.factor is None:
            return vector
        weight, bias = self._split(vector)
        factor = self.factor.T if transposed else self.factor
        weight = torch.linalg.solve_triangular(factor, weight, upper=transposed, left=False)
        return self._joined(weight, bias / self.scale)

    def _split(self, vector: npt.NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        tensor = torch.from_numpy(vector)
        classes = len(tensor) // (self.width + 1)
        return tensor[:-classes].view(classes, self.width), tensor[-classes:]

    @staticmethod
    def _joined(weight: torch.Tensor, bias: torch.Tensor) -> npt.NDArray[np.float64]:
        vector: npt.NDArray[np.float64] = torch.cat([weight.flatten(), bias]).numpy()
        return vector


class _Moments:
    """Mean and deviation of each feature, float64 `(width,)`, in one walk.

    Blocks are merged by Chan et al. (1983, https://doi.org/10.1080/00031305.1983.10483115), which loses
    no digits where the mean is large and the deviation small, as the sum of squares does.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean = torch.zeros(width, dtype=torch.float64)
        self._squares = torch.zeros(width, dtype=torch.float64)

    def add(self, features: torch.Tensor) -> None:
        """Take in a block.

        Args:
            features: Float64 `(n, width)`.
        """
        added = len(features)
        if added == 0:
            return
        count = self.count + added
        mean = features.mean(dim=0)
        delta = mean - self.mean
        self._squares += (features - mean).square().sum(dim=0)
        self._squares += delta.square() * (self.count * added / count)
        self.mean = self.mean + delta * (added / count)
        self.count = count

    @property
    def deviation(self) -> torch.Tensor:
        """Standard deviation, of these images and not of all that might be drawn: `/ N`."""
        return (self._squares / self.count).sqrt()


def _merged(blocks: Blocks) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield copies of the blocks, float64, several in one where they are small.

    Copies, for the stream may use the same memory again.
    """
    parts: list[torch.Tensor] = []
    names: list[torch.Tensor] = []
    images = 0
    for features, labels in checked(blocks):
        parts.append(features.to(torch.float64, copy=True))
        names.append(labels.clone())
        images += len(labels)
        if images >= BLOCK:
            yield torch.cat(parts), torch.cat(names)
            parts, names, images = [], [], 0
    if images:
        yield torch.cat(parts), torch.cat(names)


def _inverse(deviation: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return `1 / deviation`, and 0 for a constant feature: it says nothing, and gets weight 0.

    A feature that moves by less than the last digit of float32 is constant too: what moves is rounding.
    """
    # The lower bound keeps the folded weights of a feature that is nearly always 0 within float32.
    least = (mean.abs() * torch.finfo(torch.float32).eps).clamp_min(1e-30)
    return torch.where(deviation > least, 1 / deviation, 0.0)


def _tolerance(strength: float) -> float:
    """Return the largest entry that the gradient may have at the end.

    The weights are at most ‖gradient‖ / strength away from the best ones, so weak penalties get a
    smaller one. Below 1e-8, and for strong penalties below 1e-6, the loss no longer changes in float64.
    """
    return min(max(1e-4 * strength, 1e-8), 1e-6)
