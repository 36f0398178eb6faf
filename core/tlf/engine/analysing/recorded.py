"""What a finished run wrote down, and its images found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.files import read_json, read_json_lines
from tlf.engine.parts import make_source, open_source
from tlf.engine.record import recorded_spec
from tlf.errors import OutputError, TlfError
from tlf.registry import check, load_registry

if TYPE_CHECKING:
    from tlf.plugin import Item

REPORT = "report.json"


@dataclass(frozen=True)
class RecordedRun:
    """The files of a finished run.

    Attributes:
        folder: The run directory.
        report: What `report.json` holds.
        plan: What `plan.json` holds.
        environment: What `environment.json` holds.
        splits: Ids of the images that were used, by split.
        predictions: What the network said about each image of the reported split.
    """

    folder: Path
    report: Mapping[str, Any]
    plan: Mapping[str, Any]
    environment: Mapping[str, Any]
    splits: Mapping[str, Sequence[str]]
    predictions: Sequence[Mapping[str, Any]]

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, in the order of the network's outputs."""
        classes: Sequence[str] = self.plan["classes"]
        return classes

    def index(self, name: str) -> int:
        """Return the index of a class.

        Args:
            name: Of the class.
        """
        return self._indices[name]

    @cached_property
    def _indices(self) -> Mapping[str, int]:
        return {name: index for index, name in enumerate(self.classes)}

    def items(self) -> Mapping[str, Item]:
        """Return the images of the run's data source as it is now, by id.

        Raises:
            TlfError: It cannot be opened.
        """
        raw = recorded_spec(self.folder, self.environment)
        registry = load_registry()
        spec = check(raw, registry)
        dataset = open_source(make_source(registry, spec.data, raw.folder))
        if list(dataset.classes) != list(self.classes):
            raise TlfError("the classes are not those of the run any more")
        return {item.id: item for items in dataset.splits.values() for item in items}


def read_run(folder: Path) -> RecordedRun:
    """Return what a finished run wrote down.

    Args:
        folder: The run directory.

    Raises:
        OutputError: It is no finished run, or its files are damaged.
    """
    try:
        run = RecordedRun(
            folder=folder,
            report=read_json(folder / REPORT),
            plan=read_json(folder / "plan.json"),
            environment=read_json(folder / "environment.json"),
            splits=read_json(folder / "splits.json"),
            predictions=read_json_lines(folder / "predictions.jsonl"),
        )
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise OutputError(
            f"`{folder}` holds no finished run: `{missing}` is not there",
            hint="give the path that `tlf run` printed last",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(
            f"the run in `{folder}` cannot be read: {error}",
            hint="the files are damaged or not of a run; run the spec again",
        ) from error
    if "classification" not in run.report:
        raise OutputError(
            f"the run in `{folder}` was made by an earlier version of tlf, and its `{REPORT}` holds "
            "too little for a report",
            hint="run its `spec.json` again",
        )
    return run
