"""One number that makes the network's probabilities believable, without changing what it predicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize_scalar

from tlf.engine.classification import calibration
from tlf.engine.metrics import Evaluation, measure

if TYPE_CHECKING:
    import torch

#: Smallest and largest temperature that is looked at. A network that is right about every image to
#: choose on would want one of 0.
LIMITS = (0.05, 20.0)


def fit_temperature(evaluation: Evaluation) -> float:
    """Return what to divide logits by so that their loss is lowest (Guo et al. 2017).

    Args:
        evaluation: Of images that neither training nor reporting has seen, at least one.
    """
    logits, labels = evaluation.logits.double(), evaluation.labels

    def loss(logarithm: float) -> float:
        scaled = logits / math.exp(logarithm)
        return float((scaled.logsumexp(dim=1) - _of_labels(scaled, labels)).mean())

    # The loss is convex in the inverse of the temperature, so in its logarithm it has one minimum too.
    low, high = (math.log(limit) for limit in LIMITS)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return math.exp(float(found.x))


def _of_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return logits.gather(1, labels[:, None])[:, 0]


def describe_temperature(
    chosen: Evaluation, chosen_on: str, measured: Evaluation, measured_on: str
) -> dict[str, Any]:
    """Return the temperature, and what it changes on images that it was not chosen on.

    Args:
        chosen: What the network said about the images to choose on.
        chosen_on: Their split.
        measured: What it said about the reported ones.
        measured_on: Their split.
    """
    temperature = fit_temperature(chosen)
    low, high = LIMITS
    after = Evaluation(measured.logits.double() / temperature, measured.labels)
    return {
        "value": temperature,
        "at_limit": temperature < 1.01 * low or temperature > 0.99 * high,
        "chosen_on": chosen_on,
        "images": len(chosen.labels),
        "measured_on": measured_on,
        "before": _scores(measured),
        "after": {**_scores(after), "bins": _calibration(after)["bins"]},
    }


def _scores(evaluation: Evaluation) -> dict[str, float]:
    error = _calibration(evaluation)["expected_calibration_error"]
    return {"loss": measure(evaluation, ())["loss"], "expected_calibration_error": error}


def _calibration(evaluation: Evaluation) -> dict[str, Any]:
    return calibration(np.asarray(evaluation.labels), np.asarray(evaluation.probabilities))
