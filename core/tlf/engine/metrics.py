"""Metrics of a classifier, by scikit-learn, and the interval that the number of images allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_recall_fscore_support,
    recall_score,
    top_k_accuracy_score,
)

from tlf.engine.multilabel.loss import multilabel_loss
from tlf.engine.multilabel.metrics import DEFAULT_THRESHOLD, multilabel_metrics
from tlf.engine.multilabel.thresholds import choose_thresholds
from tlf.errors import Problem, SpecError, did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from tlf.plugin import Task
    from tlf.spec.model import Metric

#: The metrics that fit a task, in the order in which they are reported; the first says what is better.
METRICS: Mapping[Task, tuple[Metric, ...]] = {
    "single-label": ("accuracy", "balanced-accuracy", "macro-f1", "top-5-accuracy"),
    "multi-label": ("mean-average-precision", "macro-f1", "micro-f1", "subset-accuracy"),
}


@dataclass(frozen=True)
class Evaluation:
    """What the network said about the images of one split.

    Attributes:
        logits: Float32 `(N, classes)`, on the CPU.
        labels: Int64 `(N,)`; of images with any number of classes float32 `(N, classes)`, 0 or 1.
        thresholds: From which probability on each class is named, where there may be several.
        thresholds_chosen_on: The split that they were chosen on; None for 0.5 each.
    """

    logits: torch.Tensor
    labels: torch.Tensor
    thresholds: tuple[float, ...] = ()
    thresholds_chosen_on: str | None = None

    @property
    def task(self) -> Task:
        """Whether an image is of exactly one class, or of any number of them."""
        return "multi-label" if self.labels.is_floating_point() else "single-label"

    @property
    def probabilities(self) -> torch.Tensor:
        """Of each class, float64 `(N, classes)`: the softmax of the logits, or their sigmoid."""
        return probabilities_of(self.logits, self.task)

    @property
    def loss(self) -> float:
        """Cross-entropy in nats: the mean over images, and over classes if each is a question."""
        logits = self.logits.double()
        if self.task == "multi-label":
            return float(multilabel_loss(logits, self.labels))
        return float(torch.nn.functional.cross_entropy(logits, self.labels))

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Which image shows which class, `(N, classes)`, where there may be several."""
        shown: npt.NDArray[np.bool_] = (self.labels > 0).numpy()
        return shown

    @property
    def thresholds_of_classes(self) -> npt.NDArray[np.float64]:
        """The thresholds, `(classes,)`."""
        classes = self.logits.shape[1]
        return np.array(self.thresholds or [DEFAULT_THRESHOLD] * classes)

    def with_thresholds(self, chosen: Evaluation, split: str) -> Evaluation:
        """Return the same with the thresholds that do best on other images.

        Args:
            chosen: What the network says of images to choose on.
            split: What they are called.
        """
        found = choose_thresholds(chosen.shown, chosen.probabilities.numpy())
        return replace(self, thresholds=tuple(found.tolist()), thresholds_chosen_on=split)


def probabilities_of(logits: torch.Tensor, task: Task) -> torch.Tensor:
    """Return the probability of each class, float64 `(N, classes)`.

    Args:
        logits: `(N, classes)`.
        task: Says whether classes exclude each other.
    """
    logits = logits.double()
    return logits.sigmoid() if task == "multi-label" else logits.softmax(dim=1)


def check_metrics(metrics: Sequence[Metric] | None, task: Task) -> None:
    """Check that the metrics that a spec names fit its data.

    Args:
        metrics: Those named; None for the task's own.
        task: Of the data set.

    Raises:
        SpecError: Some do not.
    """
    fitting = METRICS[task]
    problems = [
        Problem(
            f"evaluation.metrics.{index}",
            f"`{name}` does not fit the data, which are {task}",
            did_you_mean(name, fitting),
        )
        for index, name in enumerate(metrics or ())
        if name not in fitting
    ]
    if problems:
        raise SpecError(problems)


def measure(evaluation: Evaluation, metrics: Sequence[Metric] | None = None) -> dict[str, float]:
    """Return the metrics by name; `loss` is always among them.

    Args:
        evaluation: Of at least one image.
        metrics: Which to compute, None for those of the task. `top-5-accuracy` is left out for five
            classes or fewer, where it would always be 1.
    """
    metrics = METRICS[evaluation.task] if metrics is None else metrics
    if evaluation.task == "multi-label":
        values = multilabel_metrics(
            evaluation.shown,
            evaluation.probabilities.numpy(),
            evaluation.thresholds_of_classes,
            metrics,
        )
        return {**values, "loss": evaluation.loss}
    labels = evaluation.labels.numpy()
    scores = evaluation.probabilities.numpy()
    classes = scores.shape[1]
    values = {
        name: _METRICS[name](labels, scores)
        for name in metrics
        if name != "top-5-accuracy" or classes > 5
    }
    return {**values, "loss": evaluation.loss}


def scores_of_classes(
    labels: npt.NDArray[Any], predicted: npt.NDArray[Any], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return precision, recall and F1 of each class as reports hold them, None where one is undefined.

    Args:
        labels: Class of each image, `(N,)`; or which image shows which class, `(N, classes)`.
        predicted: The same, as the network says.
        classes: Names of the classes.
    """
    precision, recall, f1, images = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=np.nan
    )
    return [
        {
            "class": name,
            "images": int(images[index]),
            "precision": _defined(precision[index]),
            "recall": _defined(recall[index]),
            "f1": _defined(f1[index]),
        }
        for index, name in enumerate(classes)
    ]


def _defined(value: float) -> float | None:
    """Return a score, or None for one that divides by nothing: JSON has no not-a-number."""
    return None if math.isnan(value) else float(value)


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
