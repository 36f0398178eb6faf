"""Checkpoints: the state of a run between two epochs, in files that run no code when read.

A checkpoint is a folder, written beside its place and renamed:

    checkpoints/epoch-000003/
        model.safetensors      every tensor of the network, by name
        optimizer.safetensors  the optimizer's state, as `<parameter name>|<state name>`
        generator.safetensors  the states of the random generators that dropout draws from
        state.json             where the run was, the state of the gradients' scaler if the precision
                               is float16, and the sha256 of the files above
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.engine.files import file_digest, read_json, read_tensors, write_json, write_tensors
from tlf.engine.generators import generator_states, set_generator_states
from tlf.errors import RunError

if TYPE_CHECKING:
    from tlf.engine.model import Model
    from tlf.engine.optimizer import StepOptimizer

FORMAT_VERSION = 1
KEPT = 2
_FILES = ("model.safetensors", "optimizer.safetensors", "generator.safetensors")


@dataclass(frozen=True)
class Position:
    """Where a run is.

    Attributes:
        step: Index of the step in the plan.
        epoch: Epochs of the whole run that are done.
        batch: Batches of the whole run that are done.
    """

    step: int
    epoch: int
    batch: int


def save_checkpoint(
    folder: Path, model: Model, optimizer: StepOptimizer, position: Position
) -> Path:
    """Write a checkpoint and return its folder. Only the last two are kept.

    Args:
        folder: The run's `checkpoints` folder, made if need be.
        model: The network.
        optimizer: Of the step that runs.
        position: Where the run is.
    """
    target = folder / f"epoch-{position.epoch:06d}"
    beside = folder / f".{target.name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    write_tensors(beside / "model.safetensors", model.state_dict())
    write_tensors(beside / "optimizer.safetensors", _flatten(optimizer.state_by_name()))
    write_tensors(beside / "generator.safetensors", generator_states(model.device))
    digests = {name: file_digest(beside / name) for name in _FILES}
    state = {
        "format_version": FORMAT_VERSION,
        "position": asdict(position),
        "scaler": optimizer.scaler.state_dict(),
        "sha256": digests,
    }
    write_json(beside / "state.json", state)
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)
    for old in sorted(folder.glob("epoch-*"))[:-KEPT]:
        shutil.rmtree(old)
    return target


def load_checkpoint(path: Path, model: Model, optimizer: StepOptimizer) -> Position:
    """Take over the state in a checkpoint, the global generators' too.

    Args:
        path: A checkpoint's folder.
        model: An equal network.
        optimizer: Of the step that the checkpoint was made in.

    Raises:
        RunError: The checkpoint is damaged or incomplete, or was made in another precision; nothing
            was taken over.
    """
    try:
        state = read_json(path / "state.json")
        scaler = state["scaler"]
        damaged = [name for name in _FILES if file_digest(path / name) != state["sha256"][name]]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"the checkpoint `{path}` cannot be read ({error})") from error
    if damaged:
        raise RunError(f"the checkpoint `{path}` is damaged: `{damaged[0]}` has changed")
    if bool(scaler) != optimizer.scaler.is_enabled():
        raise RunError(f"the checkpoint `{path}` was made in another precision")
    model.load_state_dict(read_tensors(path / "model.safetensors"))
    optimizer.load_state_by_name(_nest(read_tensors(path / "optimizer.safetensors")))
    optimizer.scaler.load_state_dict(scaler)
    set_generator_states(read_tensors(path / "generator.safetensors"), model.device)
    return Position(**state["position"])


def _flatten(state: dict[str, dict[str, Any]]) -> dict[str, torch.Tensor]:
    return {
        f"{parameter}|{key}": torch.as_tensor(value)
        for parameter, values in state.items()
        for key, value in values.items()
        if value is not None
    }


def _nest(flat: dict[str, torch.Tensor]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for name, tensor in flat.items():
        parameter, _, key = name.rpartition("|")
        nested.setdefault(parameter, {})[key] = tensor
    return nested
