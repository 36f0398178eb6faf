"""Checkpoints: the whole state of a run between two batches, in files that run no code when read.

A checkpoint is a folder, written beside its place and renamed:

    checkpoints/000003/
        model.safetensors      every parameter and buffer of the network, by name
        optimizer.safetensors  the optimizer's state, as `<parameter name>|<state name>`, if it has any
        generator.safetensors  the states of the random generators that dropout draws from
        weights.safetensors    weights of other moments that the run may go back to, if there are any
        state.json             where the run was, and everything else that it has to know
        SHA256SUMS             digests of the files above, as `sha256sum --check` reads them

The lines that the run has written into its files by then belong to the state: what was written later is
cut off when the run goes on.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from tlf.engine.files import (
    file_digest,
    read_json,
    read_tensors,
    remove_half_written,
    sync_folder,
    write_json,
    write_tensors,
    write_text,
)
from tlf.errors import OutputError

if TYPE_CHECKING:
    import torch

FORMAT_VERSION = 2
FOLDER = "checkpoints"
KEPT = 2

#: Files of the run directory that grow while it goes, line by line.
GROWING = ("metrics.jsonl", "timings.jsonl")

_SUMS = "SHA256SUMS"
_STATE = "state.json"
_TENSORS = ("model", "optimizer", "generator", "weights")
_NAME = re.compile(r"\d{6,}")


@dataclass(frozen=True)
class Position:
    """Where a run is.

    Attributes:
        step: Index of the step in the plan.
        epoch: Epochs of the whole run that are done.
        batch: Batches of the next epoch that are done.
    """

    step: int
    epoch: int
    batch: int


@dataclass(frozen=True)
class State:
    """Everything that a run is between two batches, but for its spec, its data and its plugins.

    Attributes:
        position: Where the run is.
        facts: Plain data.
        model: Every parameter and buffer of the network, by name.
        optimizer: The optimizer's state, as `<parameter name>|<state name>`.
        generator: The states of the random generators.
        weights: Weights of other moments, as `<moment>|<parameter name>`.
    """

    position: Position
    facts: Mapping[str, Any]
    model: Mapping[str, torch.Tensor]
    optimizer: Mapping[str, torch.Tensor]
    generator: Mapping[str, torch.Tensor]
    weights: Mapping[str, torch.Tensor]


class DamagedError(Exception):
    """A checkpoint cannot be used. Never reaches a user: an older one is taken instead."""


def save_checkpoint(run: Path, state: State) -> Path:
    """Write a checkpoint and return its folder. Only the last two are kept.

    Args:
        run: The run directory.
        state: What to keep.

    Raises:
        OSError: It cannot be written. Those that there were are still there.
    """
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    there = _numbered(folder)
    number = int(there[-1].name) + 1 if there else 1
    beside = folder / f".{number:06d}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        target = _write(run, state, beside, folder / f"{number:06d}")
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    for old in _numbered(folder)[:-KEPT]:
        _remove(old)
    return target


def _write(run: Path, state: State, beside: Path, target: Path) -> Path:
    # A file without tensors is none that safetensors reads again.
    held = [name for name in _TENSORS if getattr(state, name)]
    for name in held:
        write_tensors(beside / _file(name), getattr(state, name))
    value = {
        "format_version": FORMAT_VERSION,
        "position": vars(state.position),
        "facts": state.facts,
        "tensors": held,
        "lines": {name: _measured(run / name) for name in GROWING},
    }
    write_json(beside / _STATE, value)
    files = [*map(_file, held), _STATE]
    sums = "".join(f"{file_digest(beside / name)}  {name}\n" for name in files)
    write_text(beside / _SUMS, sums)
    sync_folder(beside)
    beside.rename(target)
    sync_folder(target.parent)
    return target


def load_checkpoint(run: Path, warn: Callable[[str], None]) -> State | None:
    """Return the last state that a run has saved, or None if it has saved none.

    A damaged one is passed over, and taken away. What the run has written after that state is cut off.

    Args:
        run: The run directory.
        warn: Hears of damaged ones.

    Raises:
        OutputError: All are damaged, or something of it is a link to elsewhere.
    """
    folder = run / FOLDER
    for path in (folder, *(run / name for name in GROWING)):
        if path.is_symlink():
            # Files are cut off here, and folders removed: not those of somebody else.
            raise OutputError(
                f"`{path}` is a link, and no run of tlf makes one there",
                hint="put what it leads to in its place, if you trust it",
            )
    remove_half_written(folder)
    there = _numbered(folder)
    for path in reversed(there):
        try:
            state, lines = _read(path)
            _check_lines(run, lines)
        except DamagedError as error:
            warn(f"the checkpoint `{path}` is damaged: {error}")
            continue
        for newer in there[there.index(path) + 1 :]:
            _remove(newer)
        for name, measured in lines.items():
            _cut(run / name, measured["bytes"])
        return state
    if there:
        raise OutputError(
            f"every checkpoint in `{folder}` is damaged",
            hint=f"remove `{folder}` to begin the run from its start, in the same directory",
        )
    for name in GROWING:
        _cut(run / name, 0)
    return None


def remove_checkpoints(run: Path) -> None:
    """Remove all that a run has saved: it is finished.

    Args:
        run: The run directory.
    """
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def _file(name: str) -> str:
    return f"{name}.safetensors"


def _numbered(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name))


def _remove(path: Path) -> None:
    # Out of the way first: nothing that is half removed is ever taken for a checkpoint.
    hidden = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(hidden, ignore_errors=True)
    path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _read(path: Path) -> tuple[State, dict[str, Any]]:
    """Return a checkpoint's state, and how long the growing files were."""
    try:
        sums = (path / _SUMS).read_text(encoding="utf-8")
        *lines, rest = sums.split("\n")
        wanted = [line[66:] for line in lines]
        for name, line in zip(wanted, lines, strict=True):
            if line != f"{file_digest(path / name)}  {name}":
                raise DamagedError(f"`{name}` has changed")
        value = read_json(path / _STATE)
        if rest or sorted(wanted) != sorted([*map(_file, value["tensors"]), _STATE]):
            raise DamagedError(f"`{_SUMS}` does not name the files that belong to it")
        version = value["format_version"]
        if version != FORMAT_VERSION:
            raise DamagedError(f"its format is {version}, not {FORMAT_VERSION}")
        there = set(value["tensors"])
        tensors = {
            name: read_tensors(path / _file(name)) if name in there else {} for name in _TENSORS
        }
        return State(Position(**value["position"]), value["facts"], **tensors), value["lines"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DamagedError(str(error)) from error


def _measured(path: Path) -> dict[str, Any]:
    """Return how long a file is by now, and the digest of its content."""
    if not path.exists():
        return {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}
    with path.open("rb+") as file:
        # Its lines must not be lost where the checkpoint is kept.
        os.fsync(file.fileno())
        content = file.read()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _check_lines(run: Path, lines: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that the growing files still begin with what was in them."""
    for name, measured in lines.items():
        path = run / name
        content = b""
        if path.exists():
            with path.open("rb") as file:
                content = file.read(measured["bytes"])
        if hashlib.sha256(content).hexdigest() != measured["sha256"]:
            raise DamagedError(f"`{name}` does not hold what it held then")


def _cut(path: Path, length: int) -> None:
    """Cut off what was written after a checkpoint."""
    if path.exists() and path.stat().st_size > length:
        with path.open("rb+") as file:
            file.truncate(length)
            os.fsync(file.fileno())
