"""The temperature, beside a fine grid."""

import numpy as np
import pytest
import torch

from tlf.engine.analysing.temperature import LIMITS, describe_temperature, fit_temperature
from tlf.engine.classification import calibration
from tlf.engine.metrics import Evaluation


def evaluation(count, *, sharpness, seed):
    """Logits that are too large by a factor, of labels drawn with the probabilities that are right."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, 4, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return Evaluation(sharpness * logits, labels)


def loss(evaluation, temperature):
    logits = evaluation.logits.double() / temperature
    return float(torch.nn.functional.cross_entropy(logits, evaluation.labels))


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_no_temperature_of_a_grid_has_a_lower_loss(sharpness):
    chosen = evaluation(500, sharpness=sharpness, seed=0)
    found = fit_temperature(chosen)
    grid = np.geomspace(*LIMITS, 2000)
    best = min(grid, key=lambda temperature: loss(chosen, temperature))
    assert found == pytest.approx(best, rel=0.01)
    assert loss(chosen, found) <= loss(chosen, best)
    # What made the logits too large is found again.
    assert found == pytest.approx(sharpness, rel=0.15)


def test_what_it_changes_is_measured_on_images_that_it_was_not_chosen_on():
    chosen = evaluation(500, sharpness=3.0, seed=0)
    measured = evaluation(400, sharpness=3.0, seed=1)
    found = describe_temperature(chosen, "selection", measured, "validation")
    assert (found["chosen_on"], found["images"], found["measured_on"]) == (
        "selection",
        500,
        "validation",
    )
    assert found["before"]["loss"] == pytest.approx(loss(measured, 1.0))
    assert found["after"]["loss"] == pytest.approx(loss(measured, found["value"]))
    scaled = (measured.logits.double() / found["value"]).softmax(dim=1).numpy()
    expected = calibration(measured.labels.numpy(), scaled)
    assert found["after"]["bins"] == expected["bins"]
    error = "expected_calibration_error"
    assert found["after"][error] == pytest.approx(expected[error])
    assert found["after"][error] < found["before"][error] / 2
    assert not found["at_limit"]


def test_a_network_that_is_right_about_everything_gets_the_smallest_temperature_and_it_is_said():
    right = Evaluation(torch.eye(3), torch.arange(3))
    found = describe_temperature(right, "selection", right, "validation")
    assert found["value"] == pytest.approx(LIMITS[0], rel=0.01)
    assert found["at_limit"]
