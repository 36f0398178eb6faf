"""Metrics of images with any number of classes, by scikit-learn, and the interval of the main one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

if TYPE_CHECKING:
    import numpy.typing as npt

#: What a class is named from on, where there is nothing to choose a threshold on.
DEFAULT_THRESHOLD = 0.5

#: Numbers that a bootstrap of many images and classes may take in all: about ten seconds on one core.
_MOST_NUMBERS = 4e8
#: Bootstrap samples: at most, and of very many images at least.
_SAMPLES = (1000, 200)


def multilabel_metrics(
    labels: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    thresholds: npt.NDArray[np.float64],
    names: Sequence[str],
) -> dict[str, float]:
    """Return metrics by name; the mean average precision is left out where no class has a positive.

    Args:
        labels: Which image shows which class, `(N, classes)`.
        scores: Probabilities `(N, classes)`.
        thresholds: From which on each class is named, `(classes,)`.
        names: Which metrics to compute.
    """
    predicted = scores >= thresholds
    values: dict[str, float] = {}
    for name in names:
        if name == "mean-average-precision":
            found = [one for one in average_precisions(labels, scores) if one is not None]
            if found:
                values[name] = float(np.mean(found))
        else:
            values[name] = _METRICS[name](labels, predicted)
    return values


def average_precisions(
    labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]
) -> list[float | None]:
    """Return the average precision of each class; None for one that no image shows.

    Args:
        labels: `(N, classes)`.
        scores: `(N, classes)`; only their order counts.
    """
    return [
        float(average_precision_score(labels[:, one], scores[:, one]))
        if labels[:, one].any()
        else None
        for one in range(labels.shape[1])
    ]


def mean_average_precision_interval(
    labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], *, seed: int = 0
) -> tuple[float, float] | None:
    """Return a 95% interval for the mean average precision on all images that might have been drawn.

    The percentile bootstrap over images (Efron and Tibshirani 1993): images are drawn again with
    replacement, 1,000 times, fewer where there are very many. It speaks of the images only: another
    seed of the run moves the metric too. A class that a sample has no image of is left out of it.

    Args:
        labels: `(N, classes)`.
        scores: `(N, classes)`; only their order counts.
        seed: Draws the samples.

    Returns:
        Both ends; None if no class has an image.
    """
    shown = labels.any(axis=0)
    if not shown.any():
        return None
    images, classes = len(labels), int(shown.sum())
    most, least = _SAMPLES
    samples = int(np.clip(_MOST_NUMBERS / (images * classes), least, most))
    generator = np.random.default_rng(seed)
    # How often each image is in each sample.
    counts = generator.multinomial(images, np.full(images, 1 / images), size=samples)
    found = np.stack(
        [_resampled(labels[:, one], scores[:, one], counts) for one in np.flatnonzero(shown)]
    )
    with warnings.catch_warnings():
        # A sample without an image of any class says nothing.
        warnings.simplefilter("ignore", RuntimeWarning)
        means = np.nanmean(found, axis=0)
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return float(low), float(high)


def _resampled(
    labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return a class's average precision in each sample; not a number where it has no image."""
    order = np.argsort(-scores, kind="stable")
    # Images with equal scores are found together: each has the precision at the end of its run.
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    drawn = counts[:, order]
    positive = np.where(labels[order], drawn, 0)
    found, right = drawn.cumsum(axis=1)[:, ends], positive.cumsum(axis=1)[:, ends]
    total = right[:, -1:]
    gained = np.diff(right, axis=1, prepend=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(found > 0, right / found, 0.0)
        return (precision * gained).sum(axis=1) / total[:, 0]  # type: ignore[no-any-return]


def _macro_f1(labels: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> float:
    return float(f1_score(labels, predicted, average="macro", zero_division=0))


def _micro_f1(labels: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> float:
    return float(f1_score(labels, predicted, average="micro", zero_division=0))


def _subset_accuracy(labels: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_]) -> float:
    return float(accuracy_score(labels, predicted))


_METRICS: dict[str, Callable[[npt.NDArray[np.bool_], npt.NDArray[np.bool_]], float]] = {
    "macro-f1": _macro_f1,
    "micro-f1": _micro_f1,
    "subset-accuracy": _subset_accuracy,
}
