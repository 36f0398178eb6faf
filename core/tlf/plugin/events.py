"""What an observer hears of a run: plain values, each observer's own copy.

Mappings hold what a file of the run directory holds: text, numbers, lists and mappings of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunStarted:
    """The run directory is there, and training begins.

    Attributes:
        directory: The run directory. An observer may add files of its own to it.
        spec: The spec, with every default in its place.
        plan: What `plan.json` holds.
        environment: What `environment.json` holds.
        epochs_done: Of a run that goes on after it was stopped, how many epochs are done; None for a
            new run. What an observer has heard of later epochs it hears once more, and what is in the
            run directory by then may be its own.
    """

    directory: Path
    spec: Mapping[str, Any]
    plan: Mapping[str, Any]
    environment: Mapping[str, Any]
    epochs_done: int | None = None


@dataclass(frozen=True)
class StepStarted:
    """A step of the plan begins.

    Attributes:
        index: Of the step in the plan, from 0.
        step: What the plan holds of it; what it has picked itself is picked by now.
    """

    index: int
    step: Mapping[str, Any]


@dataclass(frozen=True)
class EpochFinished:
    """An epoch was trained and evaluated.

    Attributes:
        epoch: Number of the epoch in the whole run, from 1.
        step: Name of its step.
        train: `loss`, the mean over the epoch's batches.
        validation: Metrics of the validation images by name; shares in [0, 1].
        selection: Metrics of the images to choose on, or None if this step chooses nothing.
        timings: `train_seconds`, `data_seconds`, `prefix_seconds`, `images_per_second`.
    """

    epoch: int
    step: str
    train: Mapping[str, float]
    validation: Mapping[str, float]
    selection: Mapping[str, float] | None
    timings: Mapping[str, float]


@dataclass(frozen=True)
class StepFinished:
    """A step of the plan is over; also one without epochs, which solves for a head or averages.

    Attributes:
        index: Of the step in the plan, from 0.
        step: What `report.json` holds of it.
        validation: Metrics of the validation images by name, at its end.
    """

    index: int
    step: Mapping[str, Any]
    validation: Mapping[str, float]


@dataclass(frozen=True)
class RunFinished:
    """The run is over. The last that an observer hears.

    Attributes:
        report: What `report.json` holds, or None if the run failed or was stopped.
        error: Why there is no report, or None.
    """

    report: Mapping[str, Any] | None
    error: str | None
