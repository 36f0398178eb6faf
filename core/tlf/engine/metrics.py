"""Metrics of a classifier, by scikit-learn, and the interval that the number of images allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, recall_score, top_k_accuracy_score

if TYPE_CHECKING:
    import numpy.typing as npt

    from tlf.spec.model import Metric


@dataclass(frozen=True)
class Evaluation:
    """What the network said about the images of one split.

    Attributes:
        logits: Float32 `(N, classes)`, on the CPU.
        labels: Int64 `(N,)`.
    """

    logits: torch.Tensor
    labels: torch.Tensor

    @property
    def probabilities(self) -> torch.Tensor:
        """Softmax of the logits, float64 `(N, classes)`."""
        return self.logits.double().softmax(dim=1)


def measure(evaluation: Evaluation, metrics: Sequence[Metric]) -> dict[str, float]:
    """Return the metrics by name; `loss` is always among them.

    Args:
        evaluation: Of at least one image.
        metrics: Which to compute. `top-5-accuracy` is left out for five classes or fewer, where it
            would always be 1.
    """
    labels = evaluation.labels.numpy()
    scores = evaluation.probabilities.numpy()
    classes = scores.shape[1]
    loss = torch.nn.functional.cross_entropy(evaluation.logits.double(), evaluation.labels)
    values: dict[str, float] = {
        name: _METRICS[name](labels, scores)
        for name in metrics
        if name != "top-5-accuracy" or classes > 5
    }
    return {**values, "loss": float(loss)}


def accuracy_interval(accuracy: float, count: int) -> tuple[float, float]:
    """Return a 95% interval for the accuracy on all images that might have been drawn.

    Wilson's score interval (1927), which stays in [0, 1] and holds for small samples. It speaks of
    the images only: another seed moves the accuracy too.

    Args:
        accuracy: Share of the images that were right, in [0, 1].
        count: How many images there were.
    """
    interval = binomtest(round(accuracy * count), count).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _accuracy(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> float:
    return float(accuracy_score(labels, scores.argmax(axis=1)))


def _balanced_accuracy(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> float:
    present = np.unique(labels)
    predicted = scores.argmax(axis=1)
    return float(recall_score(labels, predicted, labels=present, average="macro", zero_division=0))


def _macro_f1(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> float:
    classes = np.arange(scores.shape[1])
    predicted = scores.argmax(axis=1)
    return float(f1_score(labels, predicted, labels=classes, average="macro", zero_division=0))


def _top_5_accuracy(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> float:
    classes = np.arange(scores.shape[1])
    return float(top_k_accuracy_score(labels, scores, k=5, labels=classes))


_METRICS: dict[str, Callable[[npt.NDArray[np.int64], npt.NDArray[np.float64]], float]] = {
    "accuracy": _accuracy,
    "balanced-accuracy": _balanced_accuracy,
    "macro-f1": _macro_f1,
    "top-5-accuracy": _top_5_accuracy,
}
