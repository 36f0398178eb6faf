"""How a run shows itself: a live line on a terminal, a plain line an epoch anywhere else.

Everything goes to standard error; the result of a command is what it writes to standard output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from tlf.cli.interrupt import StopRequest
from tlf.cli.tables import headline
from tlf.engine.listener import Listener, kept

if TYPE_CHECKING:
    from tlf.errors import RunInterrupted
    from tlf.planning import PlannedStep, RunPlan


class ProgressListener(Listener):
    """Shows steps, epochs, images per second, loss, accuracy and the time that is left.

    Args:
        console: Of standard error.
        kept: Gets a line about how to go on with a stopped run.
        request: Hears whether the run can save its state, and says whether it is to do so and leave.
    """

    def __init__(
        self, console: Console, *, kept: list[str], request: StopRequest | None = None
    ) -> None:
        self._kept = kept
        self._request = request or StopRequest()
        self._console = console
        self._live = console.is_interactive and not os.environ.get("NO_COLOR")
        self._bar: Progress | None = None
        self._task: Any = None
        self._images = 0
        self._accuracy = ""
        self._started = time.perf_counter()
        self._epoch_started = self._started
        self._batches = 0

    def planned(self, plan: RunPlan) -> None:
        """Say what is going to happen."""
        self._plan = plan
        images = ", ".join(f"{count} {split}" for split, count in plan.data["images"].items())
        self._say(f"{plan.strategy['name']} of {plan.backbone['name']}")
        if "chosen" in plan.strategy:
            self._say(f"takes {plan.strategy['chosen']['name']}: {plan.strategy['why']}")
        self._say(f"{images} images of {len(plan.classes)} classes")
        self._say(plan.device["reason"])

    def replanned(self, plan: RunPlan) -> None:
        """Reckon with the images that are left."""
        self._plan = plan

    def loading(self, done: int, total: int) -> None:
        """Show how many images are read."""
        if self._live:
            self._show("reading images", done, total, "")
        elif done == total:
            self._say(f"read {total} images")

    def directory(self, path: Path) -> None:
        """Start the clock of the training, and remember what a stop would leave behind."""
        self._kept[:] = [kept(path)]
        self._started = self._epoch_started = time.perf_counter()

    def warning(self, message: str) -> None:
        """Show a warning."""
        self._say(f"warning: {message}")

    def step_started(self, step: PlannedStep) -> None:
        """Say what the step trains."""
        self._step = step
        # A step without epochs is short, and is carried out again.
        self._request.can_wait = step.kind == "train"
        if step.kind == "combine":
            self._say(f"step {step.name}: the weights of {', '.join(step.snapshots)} are averaged")
            return
        if step.kind != "train":
            self._say(f"step {step.name}: the head is solved for on frozen features ({step.kind})")
            return
        self._say(
            f"step {step.name}, {step.epochs} epoch{'' if step.epochs == 1 else 's'}: "
            f"{step.trainable_parameters:,} parameters learn, {step.frozen_parameters:,} are frozen"
        )

    def batch_finished(self, epoch: int, images: int, loss: float) -> None:
        """Move the bar."""
        self._images += images
        self._batches += 1
        if self._live:
            total = self._plan.epochs * self._plan.batches_per_epoch
            speed = self._images / max(time.perf_counter() - self._epoch_started, 1e-9)
            facts = f"{speed:.0f} images/s · loss {loss:.3f}{self._accuracy} · {self._left()} left"
            label = f"{self._step.name} {epoch}/{self._plan.epochs}"
            self._show(label, self._batches, total, facts)

    def chosen(self, message: str) -> None:
        """Say what the run has chosen."""
        self._say(message)

    def step_settled(self, record: dict[str, Any]) -> None:
        """Say what was chosen, and how good it is."""
        if "solved" in record:
            solved = record["solved"]
            name = "neighbours" if solved["method"] == "knn" else "strength"
            what = f"{name} {solved['chosen']:g}"
        else:
            combined = record["combined"]
            pairs = zip(combined["shares"], combined["snapshots"], strict=True)
            what = ", ".join(f"{share:.3g} of {name}" for share, name in pairs)
        shown = _said(record["validation"])
        self._say(f"{what}{shown}")
        self._epoch_started = time.perf_counter()

    def epoch_finished(self, record: dict[str, Any]) -> None:
        """Write the epoch's line, or put its accuracy behind the bar."""
        seconds = time.perf_counter() - self._epoch_started
        self._accuracy = _said(record["validation"])
        if not self._live:
            # None if the run was killed in the evaluation, and goes on there.
            speed = f" · {self._images / max(seconds, 1e-9):.0f} images/s" if self._images else ""
            # Fits into 80 columns for any number of epochs below a thousand.
            self._say(
                f"epoch {record['epoch']}/{self._plan.epochs} · "
                f"loss {record['train']['loss']:.3f} · validation "
                f"{record['validation']['loss']:.3f}{self._accuracy}{speed} · {self._left()} left"
            )
        self._images = 0
        self._epoch_started = time.perf_counter()

    def asked_to_stop(self) -> type[RunInterrupted] | None:
        """Return who asks the run to stop: the user or the system."""
        return self._request.asked

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _left(self) -> str:
        total = self._plan.epochs * self._plan.batches_per_epoch
        spent = time.perf_counter() - self._started
        seconds = round(spent / max(self._batches, 1) * (total - self._batches))
        return f"{seconds // 60}:{seconds % 60:02d}"

    def _show(self, label: str, done: int, total: int, facts: str) -> None:
        if self._bar is None:
            # Words take a second line where the terminal is narrow.
            columns = (
                TextColumn("{task.description}", markup=False, table_column=Column()),
                BarColumn(bar_width=10),
                TextColumn("{task.fields[facts]}", markup=False, table_column=Column()),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(label, total=total, facts=facts)
            self._bar.start()
        self._bar.update(self._task, description=label, completed=done, total=total, facts=facts)

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _said(metrics: Mapping[str, float]) -> str:
    """Say how good the network is, behind what else is said; nothing if that is not measured."""
    what, value = headline(metrics)
    return "" if value is None else f" · {what} {value:.1%}"
