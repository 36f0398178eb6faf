"""How a comparison shows itself: a live table on a terminal, a line a run anywhere else.

Everything goes to standard error; the result of the command is what it writes to standard output.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live

from tlf.cli.tables import headline, percent, seconds, table
from tlf.engine.comparing.schedule import Watcher
from tlf.engine.listener import Listener

if TYPE_CHECKING:
    from tlf.engine.comparing.cells import Cell
    from tlf.engine.comparing.grid import PlannedCell
    from tlf.planning import PlannedStep, RunPlan


class ComparisonView(Watcher):
    """Shows how far each row is, and what is being done.

    Args:
        console: Of standard error.
        kept: Gets a line about what a stopped comparison leaves behind.
    """

    def __init__(self, console: Console, kept: list[str]) -> None:
        self._console = console
        self._kept = kept
        self._rows: Sequence[str] = ()
        self._runs = 0
        self._done: list[Cell] = []
        self._doing: dict[tuple[int, int], str] = {}
        self._lock = threading.RLock()
        live = console.is_interactive and not os.environ.get("NO_COLOR")
        self._live = Live(console=console, transient=True, auto_refresh=False) if live else None
        self._shown = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def compared(self, rows: Sequence[str], runs: int, directory: Path) -> None:
        """Show the empty table, and remember what a stop would leave behind."""
        self._rows, self._runs = rows, runs
        self._kept[:] = [f"the runs so far are kept in `{directory}`; `--resume` goes on there"]
        if self._live is not None:
            self._live.start()
        self._refresh()

    def started(self, planned: PlannedCell) -> Listener:
        """Say what is being done."""
        return _Line(self, planned)

    def finished(self, cell: Cell) -> None:
        """Show what came of a run."""
        with self._lock:
            self._doing.pop((cell.variant, cell.seed), None)
            self._done.append(cell)
            if self._live is None:
                name = f"{self._rows[cell.variant]}, seed {cell.seed}"
                self.say(f"[{len(self._done)}/{self._runs}] {name}: {_outcome(cell)}")
            self._refresh()

    def warning(self, message: str) -> None:
        """Write a warning, which stays."""
        self.say(f"warning: {message}")

    def doing(self, planned: PlannedCell, what: str) -> None:
        """Show what a run is doing.

        Args:
            planned: The run.
            what: In a few words.
        """
        with self._lock:
            self._doing[planned.variant, planned.seed] = what
            # A run may tell of every image; eyes are slower.
            if time.monotonic() - self._shown > 0.1:
                self._refresh()

    def say(self, line: str) -> None:
        """Write a line that stays.

        Args:
            line: The line.
        """
        self._console.print(line, soft_wrap=True)

    def name(self, planned: PlannedCell) -> str:
        """Return what a run is called.

        Args:
            planned: The run.
        """
        return f"{self._rows[planned.variant]}, seed {planned.seed}"

    def _refresh(self) -> None:
        if self._live is None:
            return
        self._shown = time.monotonic()
        rows = []
        for number, name in enumerate(self._rows):
            done = [cell for cell in self._done if cell.variant == number and cell.error is None]
            failed = sum(cell.variant == number for cell in self._done) - len(done)
            rows.append(
                [
                    name,
                    f"{len(done)}{f' ({failed} failed)' if failed else ''}",
                    percent(_mean([(cell.metrics or {}).get("accuracy") for cell in done])),
                    seconds(_mean([cell.total_seconds for cell in done])),
                ]
            )
        doing = [
            f"{self._rows[variant]}, seed {seed}: {what}"
            for (variant, seed), what in self._doing.items()
        ]
        shown = table(["", ">runs", ">accuracy so far", ">time"], rows)
        status = f"{len(self._done)} of {self._runs} runs"
        self._live.update(Group(shown, "", status, *doing), refresh=True)


class _Line(Listener):
    """Passes on what a run of a comparison is doing."""

    def __init__(self, view: ComparisonView, planned: PlannedCell) -> None:
        self._view = view
        self._planned = planned
        self._epochs = 0
        self._epoch = 0
        self._tell("begins")

    def planned(self, plan: RunPlan) -> None:
        """Remember how long it is."""
        self._epochs = plan.epochs

    def loading(self, done: int, total: int) -> None:
        """Say how many images are read."""
        self._tell(f"reading images, {done} of {total}")

    def warning(self, message: str) -> None:
        """Write a warning, which stays."""
        self._view.say(f"warning: {self._view.name(self._planned)}: {message}")

    def step_started(self, step: PlannedStep) -> None:
        """Say which step it is at."""
        self._tell(f"step {step.name}")

    def batch_finished(self, epoch: int, images: int, loss: float) -> None:  # noqa: ARG002 - given
        """Say which epoch it is at."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._tell(f"epoch {epoch} of {self._epochs}")

    def epoch_finished(self, record: dict[str, Any]) -> None:
        """Say how good it is."""
        what, value = headline(record["validation"])
        self._tell(f"epoch {record['epoch']} of {self._epochs}, {what} {percent(value)}")

    def _tell(self, what: str) -> None:
        self._view.doing(self._planned, what)


def _outcome(cell: Cell) -> str:
    if cell.error is not None:
        return f"failed: {cell.error}"
    return (
        f"accuracy {percent((cell.metrics or {}).get('accuracy'))} in {seconds(cell.total_seconds)}"
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
