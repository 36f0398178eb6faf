"""A run that is stopped: what it says, and how it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tlf.engine.listener import kept
from tlf.errors import RunInterrupted, RunTerminated, Terminated

if TYPE_CHECKING:
    from tlf.engine.report import Progress
    from tlf.planning import RunPlan

#: What is said of a run that is stopped before there is a run directory.
STOPPED_EARLY = "stopped before training; nothing was written"


def ending_of(interrupt: KeyboardInterrupt) -> type[RunInterrupted]:
    """Return what a run ends with that was stopped at once.

    Args:
        interrupt: What stopped it.
    """
    return RunTerminated if isinstance(interrupt, Terminated) else RunInterrupted


def stopped(
    kind: type[RunInterrupted], progress: Progress, plan: RunPlan, folder: Path
) -> RunInterrupted:
    """Return what ends a run that is stopped and can go on.

    Args:
        kind: Who stops it.
        progress: How far it is.
        plan: The run's plan.
        folder: The run directory.
    """
    return kind(f"stopped after {progress.epochs_done} of {plan.epochs} epochs", hint=kept(folder))
