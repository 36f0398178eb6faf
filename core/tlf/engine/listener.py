"""What a run tells while it goes: the command line draws it, and nothing depends on it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlf.errors import RunInterrupted
    from tlf.planning import PlannedStep, RunPlan


class Listener:
    """Hears about a run. Each method does nothing by default."""

    def planned(self, plan: RunPlan) -> None:
        """The plan is made."""

    def replanned(self, plan: RunPlan) -> None:
        """The plan has changed, because images were left out."""

    def loading(self, done: int, total: int) -> None:
        """Images were read and decoded."""

    def directory(self, path: Path) -> None:
        """The run directory is there."""

    def warning(self, message: str) -> None:
        """Something that the user should know did not go as usual."""

    def step_started(self, step: PlannedStep) -> None:
        """A step begins."""

    def batch_finished(self, epoch: int, images: int, loss: float) -> None:
        """A batch was trained on.

        Args:
            epoch: Number of the epoch, from 1.
            images: Images in this batch.
            loss: Mean loss of this batch.
        """

    def chosen(self, message: str) -> None:
        """The run has chosen something: what a step trains, or which of its weights stay."""

    def step_settled(self, record: dict[str, Any]) -> None:
        """A step without epochs is over: a head is solved for, or weights are averaged.

        Args:
            record: What `metrics.jsonl` holds of it.
        """

    def epoch_finished(self, record: dict[str, Any]) -> None:
        """An epoch is over.

        Args:
            record: What `metrics.jsonl` holds of it.
        """

    def checkpoint_saved(self, path: Path) -> None:
        """The state of the run is saved: it can go on from here.

        Args:
            path: The checkpoint's folder.
        """

    def asked_to_stop(self) -> type[RunInterrupted] | None:
        """Return who asks the run to save its state and leave, or None if nobody does.

        Asked between two batches: a subclass can stop a run there, and `tlf.resume` goes on with it.
        """
        return None


def kept(directory: Path) -> str:
    """Say how to go on with a run that is stopped.

    Args:
        directory: The run directory.
    """
    return f"to go on: tlf run --resume {shlex.quote(str(directory))}"
