"""From which probability on a class is named: chosen for each class by its F1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tlf.engine.multilabel.metrics import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    import numpy.typing as npt


def choose_thresholds(
    labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the threshold of each class with the highest F1, `(classes,)`.

    As of Lipton et al. (2014, https://arxiv.org/abs/1402.1892), on the images at hand. It lies half-way
    between two probabilities. Of equally good ones, the one nearest to 0.5 is taken.
    A class that no image shows keeps 0.5, and so does one that all do.

    Args:
        labels: Of images to choose on, `(N, classes)`.
        scores: Probabilities `(N, classes)`.
    """
    return np.array(
        [_best(labels[:, one], scores[:, one]) for one in range(labels.shape[1])], dtype=np.float64
    )


def _best(labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> float:
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        return DEFAULT_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # A threshold can only lie where the probability changes, or below the last one.
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    right = labels[order].cumsum()[ends]
    f1 = 2 * right / (ends + 1 + positives)
    below = np.append(ranked[ends[:-1] + 1], 0.0)
    middles = (ranked[ends] + below) / 2
    good = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(min(middles[good], key=lambda value: abs(value - DEFAULT_THRESHOLD)))
