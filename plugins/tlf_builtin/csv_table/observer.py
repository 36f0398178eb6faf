"""Writes the metrics of a run as a table that any spreadsheet opens."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from tlf.plugin import EpochFinished, Observer, Options, RunStarted, StepFinished


class CsvOptions(Options):
    """Options of `csv`."""

    file: str = Field(
        default="metrics.csv",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.csv$",
        description="Name of the file in the run directory.",
    )
    delimiter: Literal[",", ";", "\t"] = Field(
        default=",", description="Between columns; some spreadsheets expect `;`."
    )


class CsvTable(Observer[CsvOptions]):
    """Adds a row after each epoch, and after each step that has none."""

    _file: Path
    _columns: tuple[str, ...] = ()
    #: Whether a step follows its epochs on the images to choose on.
    _chooses: bool = False
    #: By which metric.
    _chosen_by: str = "accuracy"
    _epoch: int = 0

    def run_started(self, event: RunStarted) -> None:
        """Make the file. Its columns come with the first row.

        Args:
            event: What is known of the run.

        Raises:
            FileExistsError: The run directory has a file of that name: another observer's, say.
        """
        self._file = event.directory / self.options.file
        if event.epochs_done is not None and self._file.is_file():
            self._go_on(event.directory / "metrics.jsonl")
        else:
            self._file.touch(exist_ok=False)
        if event.plan.get("task") == "multi-label":
            self._chosen_by = "mean-average-precision"
        steps = event.plan["steps"]
        self._chooses = any(
            step["patience"] is not None or step["undo"] or step.get("keep_best") for step in steps
        )

    def _go_on(self, metrics: Path) -> None:
        """Cut off the rows that will come once more: there is one for each line of the metrics."""
        told = len(metrics.read_bytes().splitlines()) if metrics.exists() else 0
        # The first line names the columns. One that was half written when the run was killed goes, too.
        header, *rows = self._file.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
        kept = [header, *rows[:told]] if told else []
        self._file.write_text("".join(kept), encoding="utf-8", newline="")
        if kept:
            self._columns = tuple(next(csv.reader([header], delimiter=self.options.delimiter)))

    def epoch_finished(self, event: EpochFinished) -> None:
        """Add the row of an epoch.

        Args:
            event: What it came to.
        """
        self._epoch = event.epoch
        self._add(
            event.step,
            train=event.train,
            validation=event.validation,
            selection=event.selection,
            timings=event.timings,
        )

    def step_finished(self, event: StepFinished) -> None:
        """Add the row of a step without epochs: a head that is solved for, an average.

        Args:
            event: What it came to.
        """
        if event.step["epochs"] == 0:
            self._add(event.step["name"], validation=event.validation)

    def _add(
        self,
        step: str,
        *,
        validation: Mapping[str, float],
        train: Mapping[str, float] | None = None,
        selection: Mapping[str, float] | None = None,
        timings: Mapping[str, float] | None = None,
    ) -> None:
        row: dict[str, object] = {"epoch": self._epoch, "step": step}
        splits = {"train": train, "validation": validation, "selection": selection}
        for split, values in splits.items():
            row |= {f"{split}_{name}": value for name, value in (values or {}).items()}
        row |= timings or {}
        first = not self._columns
        if first:
            self._columns = self._all_columns(validation)
        with self._file.open("a", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(
                file, self._columns, delimiter=self.options.delimiter, lineterminator="\n"
            )
            if first:
                table.writeheader()
            table.writerow(row)

    def _all_columns(self, validation: Mapping[str, float]) -> tuple[str, ...]:
        return (
            "epoch",
            "step",
            "train_loss",
            *(f"validation_{name}" for name in validation),
            *(("selection_loss", f"selection_{self._chosen_by}") if self._chooses else ()),
            "train_seconds",
            "data_seconds",
            "prefix_seconds",
            "images_per_second",
        )
