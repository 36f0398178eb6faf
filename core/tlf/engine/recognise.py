"""Which data source reads a folder: every installed one is asked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.data.reasons import printable
from tlf.engine.parts import make_source, open_source
from tlf.errors import DataError, PluginError, SpecError, TlfError, did_you_mean
from tlf.plugin import Dataset, DataSource
from tlf.plugin.images import list_folder
from tlf.registry import Entry, plugin_call
from tlf.spec import PartSpec

if TYPE_CHECKING:
    from tlf.registry import Registry

KIND = "data-source"


@dataclass(frozen=True)
class Recognised:
    """A folder that a data source reads.

    Attributes:
        source: Name of the data source.
        options: Its options, as JSON values.
        dataset: What it lists.
        others: Names of the data sources that would read the folder too.
        warnings: A sentence for each data source that does not work.
    """

    source: str
    options: Mapping[str, Any]
    dataset: Dataset
    others: tuple[str, ...]
    warnings: tuple[str, ...]


def recognise(registry: Registry, folder: Path) -> Recognised:
    """Return the first data source that reads a folder: tlf's own come first, then others by name.

    Args:
        registry: The installed plugins.
        folder: The folder.

    Raises:
        DataError: It is not there, is empty, or nothing that a data source can read.
    """
    check_folder(folder)
    warnings: list[str] = []
    absent: list[str] = []
    readable: dict[str, Mapping[str, Any]] = {}
    refusals: list[DataError] = []
    for entry in registry.entries(KIND):
        missing = entry.missing_requirements()
        if missing:
            # No fault of anybody's, and no news to whoever has done without: unless nothing else helps.
            absent.append(f"passed over: {entry.requirement_error(missing).message}")
            continue
        try:
            options = _ask(entry, folder)
        except DataError as error:
            refusals.append(error)
        except TlfError as error:
            warnings.append(f"passed over: {error.message}")
        else:
            if options is not None:
                readable[entry.declaration.name] = options
    for name, options in readable.items():
        try:
            part = PartSpec(name=name, options=dict(options))
            dataset = open_source(make_source(registry, part, Path()))
        except PluginError as error:
            warnings.append(f"passed over: {error.message}")
            continue
        others = tuple(other for other in readable if other != name)
        return Recognised(name, options, dataset, others, tuple(warnings))
    raise refusals[0] if refusals else _nothing(registry, folder, [*warnings, *absent])


def check_folder(folder: Path) -> None:
    """Check that a folder is there and holds something.

    Args:
        folder: The folder.

    Raises:
        DataError: It is not, or does not.
    """
    # The functions of `os.path` take names that are too long, too, for names of nothing.
    if os.path.isdir(folder):  # noqa: PTH112
        if str(folder) != printable(str(folder)):
            raise DataError(
                f"`{printable(str(folder))}` has a name that no spec can hold: it is no UTF-8",
                hint="rename the folder",
            )
        if not any(list_folder(folder)):
            raise DataError(
                f"the folder `{folder}` is empty", hint="name the folder that your images are in"
            )
        return
    if os.path.exists(folder):  # noqa: PTH110
        raise DataError(
            f"`{folder}` is a file, not a folder", hint="name the folder that your images are in"
        )
    there = next((above for above in folder.parents if os.path.isdir(above)), Path())  # noqa: PTH112
    missing = folder.relative_to(there).parts[0]
    near = did_you_mean(missing, [path.name for path in list_folder(there)[0]])
    where = "" if there == Path() else f": there is no `{missing}` in `{there}`"
    raise DataError(f"the folder `{folder}` does not exist{where}", hint=near)


def _ask(entry: Entry, folder: Path) -> Mapping[str, Any] | None:
    """Return the options that a data source proposes, checked; None if it proposes none."""
    target = entry.target()
    if not (isinstance(target, type) and issubclass(target, DataSource)):
        raise entry.broken("it is no subclass of `tlf.plugin.DataSource`")
    with plugin_call(entry, "`recognise`"):
        options = target.recognise(folder)
        if options is None:
            return None
        plain: Any = json.loads(json.dumps(dict(options)))
    try:
        entry.options(plain)
    except SpecError as error:
        reason = "; ".join(f"{problem.path}: {problem.message}" for problem in error.problems)
        raise entry.broken(f"`recognise` returns options that are not its own: {reason}") from error
    return plain  # type: ignore[no-any-return]


def _nothing(registry: Registry, folder: Path, warnings: list[str]) -> DataError:
    asked = [entry.declaration for entry in registry.entries(KIND) if _looks_at_folders(entry)]
    lines = [f"`{folder}` holds nothing that a data source reads"]
    lines += [f"  `{declaration.name}` reads {declaration.summary}" for declaration in asked]
    lines += [f"  {warning}" for warning in warnings]
    return DataError("\n".join(lines), hint="name the folder that your images are in")


def _looks_at_folders(entry: Entry) -> bool:
    """Say whether a data source has a `recognise` of its own."""
    try:
        own = entry.target().recognise
    except (PluginError, AttributeError):
        return False
    return getattr(own, "__func__", own) is not DataSource.recognise.__func__  # type: ignore[attr-defined]
