"""One run of a comparison: carried out, or found where an earlier comparison has left it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tlf.discovery import describe
from tlf.engine.comparing.grid import PlannedCell
from tlf.engine.files import read_json, read_json_lines
from tlf.engine.listener import Listener
from tlf.engine.pages import REPORT, add_page
from tlf.engine.record import Record, read_record
from tlf.engine.run import run_raw
from tlf.errors import DataError, OutputError, RunInterrupted, TlfError, UsageError

#: What the report of every run has as a number.
_NUMBERS = ("total_seconds", "trainable_parameters", "images_through_backbone", "images_decoded",
            "images_measured")  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes:
        variant: Number of its variant.
        seed: The run's seed.
        directory: The run's directory within the comparison's, or None if the run failed.
        error: Why it failed, or None.
        metrics: Of the reported split.
        total_seconds: As in the run's report.
        trainable_parameters: The most that any step trains.
        images_through_backbone: As in the run's report.
        images_decoded: As in the run's report.
        images_measured: As in the run's report.
        metrics_on: As in the run's report.
        peak_memory_bytes: As in the run's report.
    """

    variant: int
    seed: int
    directory: str | None = None
    error: str | None = None
    metrics: Mapping[str, float] | None = None
    total_seconds: float | None = None
    trainable_parameters: int | None = None
    images_through_backbone: int | None = None
    images_decoded: int = 0
    images_measured: int = 0
    metrics_on: str | None = None
    peak_memory_bytes: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what `comparison.json` holds of it, but for what its row is called."""
        return {name: value for name, value in asdict(self).items() if name != "variant"}


def run_cell(planned: PlannedCell, folder: Path, listener: Listener) -> Cell:
    """Carry out a run of a comparison. What fails is told in the cell.

    Args:
        planned: The run.
        folder: The comparison's directory.
        listener: Hears about the run.

    Raises:
        DataError: The images cannot be used.
        RunInterrupted: The user has stopped it.
    """
    try:
        name = _run_or_go_on(planned, folder, listener)
    except (RunInterrupted, DataError):
        raise
    except TlfError as error:
        return failed_cell(planned, str(error))
    except Exception as error:  # noqa: BLE001 - one run must not end the others
        return failed_cell(planned, describe(error))
    add_page(folder / name, listener.warning)
    return read_cell(planned, folder, name)


def _run_or_go_on(planned: PlannedCell, folder: Path, listener: Listener) -> str:
    """Carry out a run, from where an earlier process has left it if there is one; return its name."""
    begun = _find_begun(folder, planned)
    if begun is not None:
        # Where it cannot go on with what is here now its directory stays, and a new run begins.
        with suppress(UsageError, OutputError):
            run_raw(planned.raw, record=begun, listener=listener)
            return begun.folder.name
    name = free_name(folder, planned.directory)
    run_raw(planned.raw, output_directory=folder / name, listener=listener)
    return name


def _find_begun(folder: Path, planned: PlannedCell) -> Record | None:
    """Return the record of a run that was begun and is not finished, known by what its spec says."""
    for path in sorted(folder.glob("*/spec.json")):
        with suppress(OutputError, OSError, ValueError):
            is_finished = path.with_name(REPORT).exists()
            if not is_finished and path.read_text(encoding="utf-8") == planned.raw.text:
                return read_record(path.parent)
    return None


def failed_cell(planned: PlannedCell, error: str) -> Cell:
    """Return the cell of a run that has failed.

    Args:
        planned: The run.
        error: Why.
    """
    return Cell(planned.variant, planned.seed, error=error)


def free_name(folder: Path, name: str) -> str:
    """Return a name for a run's directory: an interrupted run may have left one of that name.

    Args:
        folder: The comparison's directory.
        name: What it is called if it can be.
    """
    number = 1
    while True:
        tried = name if number == 1 else f"{name}-{number}"
        if not (folder / tried).exists():
            return tried
        number += 1


def read_cell(planned: PlannedCell, folder: Path, name: str) -> Cell:
    """Return what came of a run that is finished.

    Args:
        planned: The run.
        folder: The comparison's directory.
        name: The run's directory in it.
    """
    report = read_json(folder / name / REPORT)
    return Cell(
        variant=planned.variant,
        seed=planned.seed,
        directory=name,
        metrics=report["metrics"],
        total_seconds=report["timings"]["total_seconds"],
        trainable_parameters=max(step["trainable_parameters"] for step in report["steps"]),
        images_through_backbone=report["images_through_backbone"],
        images_decoded=report["images_decoded"],
        images_measured=report["images_measured"],
        metrics_on=report["metrics_on"],
        peak_memory_bytes=report["peak_memory_bytes"],
    )


def find_finished(
    folder: Path, planned: Sequence[PlannedCell]
) -> Iterator[tuple[Cell, dict[str, bool]]]:
    """Yield the cells whose runs are finished already, with which images these got right.

    They are known by what their specs say, whatever their names.

    Args:
        folder: The comparison's directory.
        planned: The runs that are wanted.
    """
    there: dict[str, str] = {}
    for report in sorted(folder.glob(f"*/{REPORT}")):
        with suppress(OSError, ValueError):
            spec = report.with_name("spec.json").read_text(encoding="utf-8")
            there.setdefault(spec, report.parent.name)
    for cell in planned:
        name = there.get(cell.raw.text)
        if name is None:
            continue
        try:
            found = read_cell(cell, folder, name), read_outcomes(folder / name)
            _check(*found)
        except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError,
                ValueError):  # fmt: skip
            # One whose files are damaged is carried out again.
            continue
        yield found


def _check(cell: Cell, right: Mapping[str, bool]) -> None:
    """Raise ValueError if the files of a run do not say what tlf writes, or contradict each other."""
    metrics = dict(cell.metrics or {})
    numbers = {name: getattr(cell, name) for name in _NUMBERS}
    for name, value in {**metrics, **numbers}.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"`{name}` is no number")
    if len(right) != cell.images_measured or not all(isinstance(one, str) for one in right):
        raise ValueError("the predictions are of other images")
    if not math.isclose(metrics.get("accuracy", fmean(right.values())), fmean(right.values())):
        raise ValueError("the predictions are not those that were measured")


def read_outcomes(run: Path) -> dict[str, bool]:
    """Return which images a run got right, by their ids, in order.

    Args:
        run: The run's directory.
    """
    lines = read_json_lines(run / "predictions.jsonl")
    return {line["id"]: line["predicted"] == line["label"] for line in lines}
