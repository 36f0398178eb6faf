"""Writes the metrics of a run as event files, which TensorBoard draws while the run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Not `tensorboard.summary.Writer`, which calls itself experimental and knows scalars alone: torch's
# writer is kept with torch, is tested against TensorBoard, and knows text and hyperparameters.
from torch.utils.tensorboard import SummaryWriter

from tlf.plugin import (
    EpochFinished,
    Observer,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)

from .options import TensorBoardOptions


class TensorBoard(Observer[TensorBoardOptions]):
    """Adds the numbers of each epoch, and of each step that has none."""

    _writer: SummaryWriter
    #: Whether there is a file: a run may be stopped before.
    _is_open: bool = False
    #: What the run may be compared by.
    _settings: Mapping[str, bool | float | str]
    _epoch: int = 0

    def run_started(self, event: RunStarted) -> None:
        """Make the folder, and say what is going to be done.

        Args:
            event: What is known of the run.

        Raises:
            FileExistsError: The run directory has a folder of that name: another observer's, say.
        """
        folder = event.directory / self.options.folder
        goes_on = event.epochs_done is not None
        folder.mkdir(exist_ok=goes_on)
        self._settings = _settings(event.spec, event.plan)
        # TensorBoard then leaves out what an earlier process has told of epochs that come once more.
        purged = None if event.epochs_done is None else event.epochs_done + 1
        self._writer = SummaryWriter(str(folder), purge_step=purged)
        self._is_open = True
        self._writer.add_text("spec", _code(event.spec), 0)
        self._writer.add_text("plan", _code(event.plan), 0)
        self._writer.flush()

    def step_started(self, event: StepStarted) -> None:
        """Say which step begins here.

        Args:
            event: The step.
        """
        step = event.step
        text = (
            f"step {event.index + 1}, **{step['name']}**: {step['trainable_parameters']:,} parameters "
            f"learn, {step['frozen_parameters']:,} are frozen"
        )
        self._writer.add_text("step", text, self._epoch)

    def epoch_finished(self, event: EpochFinished) -> None:
        """Add the numbers of an epoch.

        Args:
            event: What it came to.
        """
        self._epoch = event.epoch
        self._add("train", event.train)
        self._add("validation", event.validation)
        self._add("selection", event.selection or {})
        for name, value in event.timings.items():
            self._writer.add_scalar(f"timings/{name}", value, self._epoch)
        # Whoever watches a long run sees each epoch when it is over.
        self._writer.flush()

    def step_finished(self, event: StepFinished) -> None:
        """Add the numbers of a step without epochs: a head that is solved for, an average.

        Args:
            event: What it came to.
        """
        if event.step["epochs"] == 0:
            self._add("validation", event.validation)
            self._writer.flush()

    def run_finished(self, event: RunFinished) -> None:
        """Add what the run came to, and close the file.

        Args:
            event: What it came to.
        """
        if not self._is_open:
            return
        if event.report is None:
            self._writer.add_text("error", event.error or "", self._epoch)
        else:
            # The names that TensorBoard compares runs by must not be those of a curve.
            final = {f"final/{name}": value for name, value in event.report["metrics"].items()}
            # Into the same folder: by itself the writer makes one more run beside this one of it.
            self._writer.add_hparams(
                dict(self._settings), final, run_name=".", global_step=self._epoch
            )
        self._writer.close()

    def _add(self, split: str, metrics: Mapping[str, float]) -> None:
        # The metric comes first, so that its splits are drawn beside each other.
        for name, value in metrics.items():
            self._writer.add_scalar(f"{name}/{split}", value, self._epoch)


def _settings(spec: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """Return what runs are compared by: few values, each a plain one."""
    training = spec.get("training", {})
    strategy = plan.get("strategy", {})
    settings = {
        # What `auto` has chosen is what was trained.
        "strategy": strategy.get("chosen", strategy).get("name"),
        "backbone": spec.get("backbone", {}).get("name"),
        "weights": spec.get("backbone", {}).get("weights"),
        "seed": spec.get("seed"),
        **training,
        "optimizer": training.get("optimizer", {}).get("name"),
    }
    return {k: v for k, v in settings.items() if isinstance(v, bool | int | float | str)}


def _code(values: Mapping[str, Any]) -> str:
    """Return values as a block of code of Markdown, which is what TensorBoard shows texts as."""
    lines = json.dumps(values, indent=2, ensure_ascii=False).splitlines()
    return "\n".join(f"    {line}" for line in lines)
