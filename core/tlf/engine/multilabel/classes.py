"""What `report.json` holds of each class where images have any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from tlf.engine.multilabel.metrics import average_precisions

if TYPE_CHECKING:
    import numpy.typing as npt


def classification_of_labels(
    labels: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    thresholds: npt.NDArray[np.float64],
    classes: Sequence[str],
    chosen_on: str | None,
) -> dict[str, Any]:
    """Return how each class does.

    Args:
        labels: Which image shows which class, `(N, classes)`.
        scores: Probabilities `(N, classes)`.
        thresholds: From which on each class is named, `(classes,)`.
        classes: Names of the classes.
        chosen_on: The split that these were chosen on; None if they were not chosen.
    """
    precision, recall, f1, images = precision_recall_fscore_support(
        labels, scores >= thresholds, average=None, zero_division=np.nan
    )
    found = average_precisions(labels, scores)
    return {
        "task": "multi-label",
        "classes": list(classes),
        "thresholds_chosen_on": chosen_on,
        "per_class": [
            {
                "class": name,
                "images": int(images[index]),
                "average_precision": found[index],
                "threshold": float(thresholds[index]),
                "precision": _defined(precision[index]),
                "recall": _defined(recall[index]),
                "f1": _defined(f1[index]),
            }
            for index, name in enumerate(classes)
        ],
    }


def _defined(value: float) -> float | None:
    """Return a score, or None for one that divides by nothing: JSON has no not-a-number."""
    return None if np.isnan(value) else float(value)
