"""Multinomial logistic regression on a stream of features, by L-BFGS over all images at once.

The loss is strictly convex in the weights, so the answer depends on the features alone: no learning
rate, no epochs, no seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from scipy.optimize import minimize

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
    blocks: Blocks, width: int, classes: int, strength: float, start: LinearFit | None = None
) -> LinearFit:
    """Minimise mean cross-entropy + strength / 2 ‖W‖², W on standardised features.

    The biases carry no penalty. The optimiser is L-BFGS-B (Byrd et al. 1995,
    https://doi.org/10.1137/0916069) without bounds, in float64.

    Args:
        blocks: Features and labels of at least one image.
        width: Features an image has.
        classes: How many there are, at least 2; one may have no images.
        strength: Of the penalty, more than 0. For `N` images it is `1 / (N C)` with the `C` of
            scikit-learn, and for two classes, which have one vector of weights there, `2 / (N C)`.
        start: A fit to start from, of a penalty or of images nearly the same.

    Raises:
        RunError: A feature is infinite or not a number.
    """
    return _Problem(blocks, width, classes).solve(strength, start)


def path(
    blocks: Blocks, width: int, classes: int, strengths: Sequence[float]
) -> dict[float, LinearFit]:
    """Fit one head for each strength, each from the fit before it, the strongest first.

    A strong penalty keeps the weights near 0 and needs few steps; every next one needs few from there
    (Friedman et al. 2010, https://doi.org/10.18637/jss.v033.i01).

    Args:
        blocks: Features and labels of at least one image.
        width: Features an image has.
        classes: How many there are, at least 2.
        strengths: Of the penalty, all more than 0.

    Returns:
        The fits by strength, in falling order.

    Raises:
        RunError: A feature is infinite or not a number.
    """
    problem = _Problem(blocks, width, classes)
    fits: dict[float, LinearFit] = {}
    fit: LinearFit | None = None
    for strength in sorted(set(strengths), reverse=True):
        fit = fits[strength] = problem.solve(strength, fit)
    return fits


class _Problem:
    """The images of a fit, standardised.

    Parameters are one float64 vector: the weights `(classes, width)` row by row, then the biases.
    """

    def __init__(self, blocks: Blocks, width: int, classes: int) -> None:
        self.width = width
        self.classes = classes
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
        for features, labels in checked(self._source):
            # A copy, for the stream may use the same memory again.
            block = features.to(torch.float64, copy=True)
            self._moments.add(block)
            self._counts += labels.bincount(minlength=self.classes)
            if self._moments.count * self.width * 8 > KEPT_BYTES:
                self._kept = None
            if self._kept is not None:
                self._kept.append((block, labels.clone()))

    def _standardise(self, features: torch.Tensor) -> torch.Tensor:
        return (features.double() - self.mean) * self.inverse_deviation

    def _blocks(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if self._kept is not None:
            yield from self._kept
            return
        for features, labels in checked(self._source):
            yield self._standardise(features), labels

    def solve(self, strength: float, start: LinearFit | None) -> LinearFit:
        result = minimize(
            self.objective,
            (self._first() if start is None else self._unfold(start)).numpy(),
            args=(strength,),
            method="L-BFGS-B",
            jac=True,
            options={
                "maxiter": MAX_ITERATIONS,
                "maxfun": 10 * MAX_ITERATIONS,
                "maxcor": MEMORY,
                # Only the gradient says whether the minimum is near; the loss may stand still before.
                "ftol": 0.0,
                "gtol": _tolerance(strength),
            },
        )
        weight, bias = self._fold(torch.from_numpy(result.x))
        return LinearFit(weight, bias, float(result.fun), int(result.nit), bool(result.success))

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
            log_probabilities = torch.addmm(bias, features, weight.T).log_softmax(dim=1)
            picked = labels[:, None]
            total -= float(log_probabilities.gather(1, picked).sum())
            # Of the cross-entropy by the logits: the probabilities, less 1 at the label.
            residual = log_probabilities.exp_()
            residual.scatter_add_(1, picked, residual.new_full(picked.shape, -1.0))
            weight_gradient.addmm_(residual.T, features)
            bias_gradient += residual.sum(dim=0)
        gradient /= self._moments.count
        weight_gradient += strength * weight
        loss = total / self._moments.count + strength / 2 * float(weight.square().sum())
        return loss, gradient.numpy()

    def _first(self) -> torch.Tensor:
        """Return where to start: no weights, biases that give each class its share."""
        bias = self._counts.double().clamp_min(ABSENT).log()
        weights = torch.zeros(self.classes * self.width, dtype=torch.float64)
        return torch.cat([weights, bias - bias.mean()])

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
        return torch.cat([(weight * self._moments.deviation).flatten(), bias - bias.mean()])


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
