"""Reading what a page is made of. Files that are absent are left out; damaged ones are named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tlf.errors import OutputError

T = TypeVar("T")

#: What no HTML page and no SVG may hold: control characters, and halves of characters, which are how
#: Python spells bytes of a file's name that are no text.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class RunFiles:
    """The files of a run directory.

    Attributes:
        report: `report.json`.
        plan: `plan.json`, or nothing.
        environment: `environment.json`, or nothing.
        analysis: `analysis.json`, or nothing.
        spec: `spec.json` as it was written, or nothing.
        metrics: Lines of `metrics.jsonl`.
        timings: Lines of `timings.jsonl`.
        damaged: Names of files that are there and cannot be read.
    """

    report: dict[str, Any]
    plan: dict[str, Any]
    environment: dict[str, Any]
    analysis: dict[str, Any]
    spec: str
    metrics: list[dict[str, Any]]
    timings: list[dict[str, Any]]
    damaged: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether an image may be of any number of classes."""
        return self.report.get("task") == "multi-label"

    @classmethod
    def read(cls, folder: Path) -> RunFiles:
        """Read a run directory.

        Args:
            folder: The directory.

        Raises:
            OutputError: There is no `report.json`, or it cannot be read.
        """
        damaged: list[str] = []

        def read(name: str, parse: Callable[[str], T], nothing: T) -> T:
            try:
                return parse(_text(folder / name))
            except FileNotFoundError:
                return nothing
            except (OSError, ValueError, RecursionError):
                damaged.append(name)
                return nothing

        return cls(
            report=_required(folder / "report.json", "a run that has finished"),
            plan=read("plan.json", _record, {}),
            environment=read("environment.json", _record, {}),
            analysis=read("analysis.json", _record, {}),
            spec=read("spec.json", str, ""),
            metrics=read("metrics.jsonl", _records, []),
            timings=read("timings.jsonl", _records, []),
            damaged=tuple(damaged),
        )


@dataclass(frozen=True)
class ComparisonFiles:
    """The files of a comparison's directory.

    Attributes:
        comparison: `comparison.json`.
        pages: Directories of the runs that have a page of their own.
    """

    comparison: dict[str, Any]
    pages: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> ComparisonFiles:
        """Read a comparison's directory.

        Args:
            folder: The directory.

        Raises:
            OutputError: There is no `comparison.json`, or it cannot be read.
        """
        comparison = _required(folder / "comparison.json", "a comparison that has finished")
        names = {run.get("directory") for run in comparison.get("runs") or ()}
        # A name with a slash in it might lead anywhere.
        own = {name for name in names if name and "/" not in name and "\\" not in name}
        pages = frozenset(name for name in own if (folder / name / "report.html").is_file())
        return cls(comparison, pages)


def _required(path: Path, what: str) -> dict[str, Any]:
    """Return a file's record; raise OutputError where there is none."""
    try:
        return _record(_text(path))
    except FileNotFoundError as error:
        raise OutputError(
            f"there is no `{path.name}` in `{path.parent}`", hint=f"name the directory of {what}"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(f"`{path}` cannot be read ({error})") from error


def _text(path: Path) -> str:
    return _UNPRINTABLE.sub("\ufffd", path.read_text(encoding="utf-8"))


def _record(text: str) -> dict[str, Any]:
    value = cleaned(json.loads(text))
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")
    return value


def _records(text: str) -> list[dict[str, Any]]:
    """Return the records of a file with one a line, but for a last one that was cut off."""
    # Not `splitlines`: names may hold other characters that end a line.
    lines = text.rstrip("\n").split("\n")
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(_record(line))
        except ValueError:
            if number < len(lines):
                raise
    return records


def cleaned(value: object) -> object:
    """Return a JSON value whose texts can be part of a page.

    Args:
        value: What was read.
    """
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [cleaned(one) for one in value]
    if isinstance(value, dict):
        return {_UNPRINTABLE.sub("\ufffd", key): cleaned(one) for key, one in value.items()}
    return value
