"""Weights files: read safely, put into a backbone, and refused with names when they do not fit.

Only this module reads weights that somebody else made: `.safetensors`, or torch's own format through
its restricted reader, which cannot run code.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError

from tlf.engine.files import read_tensors
from tlf.engine.model import BACKBONE_PREFIX, HEAD_PREFIX
from tlf.errors import WeightsError

if TYPE_CHECKING:
    from tlf.plugin.stages import Backbone

SUFFIXES = (".safetensors", ".pth", ".pt")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file by name, on the CPU.

    Args:
        path: A `.safetensors`, `.pth` or `.pt` file. The `model.safetensors` of a run is one too: its
            head is left out.

    Raises:
        WeightsError: The file is missing, of another kind, damaged, or holds more than tensors.
    """
    if path.suffix not in SUFFIXES:
        raise WeightsError(
            f"`{path}` is no weights file: its name ends in `{path.suffix}`",
            hint=f"give a file that ends in {', '.join(f'`{suffix}`' for suffix in SUFFIXES)}",
        )
    if not path.is_file():
        raise WeightsError(
            f"the weights file `{path}` does not exist",
            hint='correct `backbone.weights`; `"default"` takes the library\'s own weights',
        )
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if any(name.startswith(BACKBONE_PREFIX) for name in state):
        return {
            name.removeprefix(BACKBONE_PREFIX): tensor
            for name, tensor in state.items()
            if not name.startswith(HEAD_PREFIX)
        }
    return state


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return read_tensors(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"`{path}` is no readable safetensors file ({error})",
            hint="it may have been cut short on its way: fetch it again",
        ) from error


def _read_torch(path: Path) -> dict[str, torch.Tensor]:
    try:
        # torch warns of pickles that it did not write itself, and then refuses them anyway.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"`{path}` cannot be read as plain tensors ({reason})",
            hint="convert it to safetensors; files that hold code are never run",
        ) from error
    # Training scripts often store the state below one key, beside an optimizer's.
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise WeightsError(
            f"`{path}` holds no table of tensors", hint="save a model's `state_dict()`"
        )
    return found


def load_weights(
    backbone: Backbone,
    state: Mapping[str, torch.Tensor],
    *,
    source: str,
    ignored: tuple[str, ...] = (),
) -> None:
    """Put weights into a backbone: each of its tensors, or none.

    Args:
        backbone: Gets the weights, in place.
        state: Tensors by the library's names. Those of the classification layer are passed over.
        source: What the user calls the weights, for messages.
        ignored: Prefixes of further tensors to pass over.

    Raises:
        WeightsError: Tensors are missing, left over, or of another shape; all are named.
    """
    wanted = backbone.module.state_dict()
    given = {
        name: tensor
        for name, tensor in state.items()
        if name not in backbone.classifier and not name.startswith(ignored)
    }
    # Counters of batches seen exist only since torch 0.4.1; older files lack them, and nothing that
    # is computed here depends on them.
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing = sorted(wanted.keys() - given.keys() - counters)
    extra = sorted(given.keys() - wanted.keys())
    misfits = [
        f"`{name}` is {_shape(given[name])} in the file and {_shape(tensor)} in the network"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if missing or extra or misfits:
        raise WeightsError(
            "\n".join([f"`{source}` does not fit the network", *_lines(missing, extra, misfits)]),
            hint="these are the weights of another network, or of another version of it",
        )
    backbone.module.load_state_dict(given, strict=False)


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a single number"


def _lines(missing: list[str], extra: list[str], misfits: list[str]) -> list[str]:
    lines = []
    if missing:
        lines.append(f"  {len(missing)} tensors are missing: {_some(missing)}")
    if extra:
        lines.append(f"  {len(extra)} tensors are left over: {_some(extra)}")
    if misfits:
        more = f" and {len(misfits) - 3} more" if len(misfits) > 3 else ""
        lines.append(f"  other shapes: {'; '.join(misfits[:3])}{more}")
    return lines


def _some(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return f"{shown} …" if len(names) > 3 else shown
