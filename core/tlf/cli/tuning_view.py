"""How a search for a learning rate shows itself: a line for each test, and a live one on a terminal."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tlf.cli.output import messages
from tlf.engine.listener import Listener

if TYPE_CHECKING:
    from types import TracebackType

    from rich.status import Status

    from tlf.planning import PlannedStep, RunPlan


class TuningView(Listener):
    """Shows on standard error what is being tested, and what each test came to."""

    def __init__(self) -> None:
        self._console = messages()
        self._stack = ExitStack()
        self._status: Status | None = None
        self._step = ""
        self._batches = 0

    def __enter__(self) -> TuningView:
        if self._console.is_interactive and not os.environ.get("NO_COLOR"):
            self._status = self._stack.enter_context(self._console.status("reading the spec"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def planned(self, plan: RunPlan) -> None:
        """Say what is going to be tested."""
        self._say(f"range tests for {plan.strategy['name']} of {plan.backbone['name']}")
        self._say(plan.device["reason"])

    def loading(self, done: int, total: int) -> None:
        """Show how many images are read."""
        self._show(f"reading images: {done:,} of {total:,}")

    def warning(self, message: str) -> None:
        """Show a warning."""
        self._say(f"warning: {message}")

    def step_started(self, step: PlannedStep) -> None:
        """Remember which step is tested."""
        self._step, self._batches = step.name, 0
        self._show(f"step {self._step}")

    def batch_finished(self, epoch: int, images: int, loss: float) -> None:  # noqa: ARG002
        """Show how far the test is."""
        self._batches += 1
        self._show(f"step {self._step}: batch {self._batches}, loss {loss:.3f}")

    def chosen(self, message: str) -> None:
        """Say what a test came to."""
        self._say(message)

    def _show(self, message: str) -> None:
        if self._status is not None:
            self._status.update(message)

    def _say(self, message: str) -> None:
        self._console.print(message, soft_wrap=True)
