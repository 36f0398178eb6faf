"""Which classes the network takes for which, and whether its probabilities can be believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tlf.engine.metrics import scores_of_classes
from tlf.engine.multilabel.classes import classification_of_labels

if TYPE_CHECKING:
    import numpy.typing as npt

    from tlf.data import Loaded
    from tlf.engine.metrics import Evaluation
    from tlf.plugin import Item

#: Equal bins of probability in which calibration is measured, as many as Guo et al. take.
CALIBRATION_BINS = 15


def classification(evaluation: Evaluation, classes: Sequence[str]) -> dict[str, Any]:
    """Return what `report.json` holds of how each class does.

    Args:
        evaluation: Of at least one image.
        classes: Names of the classes.
    """
    scores = evaluation.probabilities.numpy()
    if evaluation.task == "multi-label":
        return classification_of_labels(
            evaluation.shown,
            scores,
            evaluation.thresholds_of_classes,
            classes,
            evaluation.thresholds_chosen_on,
        )
    labels = evaluation.labels.numpy()
    predicted = scores.argmax(axis=1)
    return {
        "task": "single-label",
        "classes": list(classes),
        "per_class": scores_of_classes(labels, predicted, classes),
        "confusion": _confusion(labels, predicted),
        "calibration": calibration(labels, scores),
    }


def _confusion(labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> list[list[int]]:
    # Only what there is: a matrix of twenty thousand classes would not fit into memory.
    pairs = Counter(zip(labels.tolist(), predicted.tolist(), strict=True))
    return [[label, found, count] for (label, found), count in sorted(pairs.items())]


def calibration(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return how far the probability of the predicted class is from how often it is right.

    The expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599) is the mean
    difference of the two over bins of probability, each weighted by its images.

    Args:
        labels: `(N,)`, N at least 1.
        scores: Probabilities `(N, classes)`.
    """
    confidence = scores.max(axis=1)
    right = scores.argmax(axis=1) == labels
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    # A bin holds its upper edge: 1 is in the last one.
    bin_of = np.digitize(confidence, edges[1:-1], right=True)
    bins = [
        {
            "low": float(edges[index]),
            "high": float(edges[index + 1]),
            "images": int((bin_of == index).sum()),
            "confidence": float(confidence[bin_of == index].mean()),
            "accuracy": float(right[bin_of == index].mean()),
        }
        for index in np.unique(bin_of).tolist()
    ]
    error = sum(one["images"] * abs(one["accuracy"] - one["confidence"]) for one in bins)
    return {"bins": bins, "expected_calibration_error": error / len(labels)}


def describe_data(loaded: Loaded) -> dict[str, Any]:
    """Return how many images of each class each split holds, of those that were used.

    Args:
        loaded: The images.
    """
    return {name: class_counts(split.items, split.classes) for name, split in loaded.splits.items()}


def class_counts(items: Sequence[Item], classes: Sequence[str]) -> dict[str, Any]:
    """Return the number of images, and that of each class, none included.

    Args:
        items: The images.
        classes: Names of the classes.
    """
    found: Mapping[int, int] = Counter(label for item in items for label in item.labels)
    return {
        "images": len(items),
        "classes": {name: found.get(index, 0) for index, name in enumerate(classes)},
    }
