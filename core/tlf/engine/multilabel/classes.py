"""What `report.json` holds of each class where images have any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tlf.engine.metrics import scores_of_classes
from tlf.engine.multilabel.metrics import average_precisions

if TYPE_CHECKING:
    import numpy as np
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
    found = average_precisions(labels, scores)
    return {
        "task": "multi-label",
        "classes": list(classes),
        "thresholds_chosen_on": chosen_on,
        "per_class": [
            {
                "class": one["class"],
                "images": one["images"],
                "average_precision": found[index],
                "threshold": float(thresholds[index]),
                **one,
            }
            for index, one in enumerate(scores_of_classes(labels, scores >= thresholds, classes))
        ],
    }
