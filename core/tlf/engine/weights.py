"""Weights files: read safely, put into a backbone, and refused with names when they do not fit.

Only this module reads weights that somebody else made: `.safetensors`, or torch's own format through
its restricted reader, which cannot run code.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.engine.files import read_tensors
from tlf.engine.model import BACKBONE_PREFIX, HEAD_PREFIX
from tlf.engine.parts import default_weights_of
from tlf.errors import Problem, SpecError, WeightsError
from tlf.plugin.stages.state import load_state
from tlf.spec.paths import resolve_path

if TYPE_CHECKING:
    from tlf.engine.parts import Made
    from tlf.plugin import BackboneFamily
    from tlf.plugin.stages import Backbone
    from tlf.spec.model import BackboneSpec

SUFFIXES = (".safetensors", ".pth", ".pt")

#: What torch says of a file that it could read only by running code from it.
_CODE = re.compile(r"Unsupported (global|class)|blocked|unrecognized|TorchScript")

#: Where it names that code.
_CODE_NAME = re.compile(r"GLOBAL ([\w.]+) ")


def resolve_weights(
    spec: BackboneSpec,
    folder: Path,
    family: Made[BackboneFamily[Any]],
    model: str,
    path: str = "backbone",
) -> str | Path:
    """Return the weights file that a spec names, `default` or `none`.

    Args:
        spec: Names the weights.
        folder: What relative paths start from.
        family: The family.
        model: Name of the model within it.
        path: Where the spec has it.

    Raises:
        SpecError: The model has no weights of its own.
        WeightsError: The file is not there.
    """
    wanted = spec.weights
    if wanted == "none":
        return "none"
    if wanted == "default":
        if default_weights_of(family, model) is None:
            problem = Problem(
                f"{path}.weights",
                f"`{spec.name}` has no weights of its own",
                "name a weights file, or write `none` for random weights",
            )
            raise SpecError([problem])
        return "default"
    file = resolve_path(folder, wanted, f"{path}.weights")
    if not file.is_file():
        raise WeightsError(
            f"the weights file `{file}` does not exist",
            hint=f'correct `{path}.weights`; `"default"` takes the library\'s own weights',
        )
    return file


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file by name, on the CPU.

    Args:
        path: A `.safetensors`, `.pth` or `.pt` file. The `model.safetensors` of a run is one too.

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
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return read_tensors(path)
    except MemoryError:
        raise
    except Exception as error:
        raise WeightsError(
            f"`{path}` is no readable safetensors file ({error or type(error).__name__})",
            hint="it may have been cut short on its way: fetch it again",
        ) from error


def _read_torch(path: Path) -> dict[str, torch.Tensor]:
    try:
        # torch warns of pickles that it did not write itself, and then refuses them anyway.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        # For a damaged file, torch's reader raises nearly every kind of error there is.
        raise _unreadable(path, error) from error
    return _table(path, found)


def _unreadable(path: Path, error: Exception) -> WeightsError:
    # Nothing of torch's own text is shown: it is long, coloured, and says how to run the code.
    if _CODE.search(str(error)):
        name = _CODE_NAME.search(str(error))
        reason = "it holds more than tensors" + (f": `{name[1]}`" if name else "")
        hint = "convert it to safetensors; files that hold code are never run"
    elif isinstance(error, OSError) and error.strerror:
        reason, hint = error.strerror.lower(), "make sure that you may read the file"
    else:
        reason = "it is damaged, or `torch.save` did not write it"
        hint = "it may have been cut short on its way: fetch it again"
    return WeightsError(f"`{path}` cannot be read as plain tensors ({reason})", hint=hint)


def _table(path: Path, found: object) -> dict[str, torch.Tensor]:
    # Training scripts often store the state below one key, beside an optimizer's.
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(map(_is_plain, found.values())):
        raise WeightsError(
            f"`{path}` holds no table of tensors", hint="save a model's `state_dict()`"
        )
    nameless = [name for name in found if not isinstance(name, str)]
    if nameless:
        raise WeightsError(
            f"`{path}` holds a tensor whose name is no text: `{nameless[0]!r}`",
            hint="save a model's `state_dict()`",
        )
    return found


def _is_plain(value: object) -> bool:
    """Say whether a value is a tensor whose numbers are all there, one beside the other."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_meta
        and not value.is_quantized
    )


def load_weights(
    backbone: Backbone,
    state: Mapping[str, torch.Tensor],
    *,
    source: str,
    ignored: tuple[str, ...] = (),
    convert: Callable[[Mapping[str, torch.Tensor]], Mapping[str, torch.Tensor]] | None = None,
) -> None:
    """Put weights into a backbone: each of its tensors, or none.

    Args:
        backbone: Gets the weights, in place.
        state: Tensors by the library's names, or by those of a run's `model.safetensors`. Those of
            the classification layer, or the run's head, are passed over.
        source: What the user calls the weights, for messages.
        ignored: Prefixes of further tensors to pass over.
        convert: Makes tensors that fit of those of an older file, or of another image size. Asked
            only if they do not fit as they are.

    Raises:
        WeightsError: Tensors are missing, left over, or of another shape; all are named.
    """
    wanted = backbone.module.state_dict()

    def chosen(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {
            name: tensor
            for name, tensor in tensors.items()
            if name not in backbone.classifier and not name.startswith(ignored)
        }

    state = _by_own_names(state, wanted)
    given = chosen(state)
    misfits = _misfits(given, wanted)
    if misfits and convert is not None:
        given = chosen(convert(state))
        misfits = _misfits(given, wanted)
    if misfits:
        raise WeightsError(
            "\n".join([f"`{source}` does not fit the network", *misfits]),
            hint="these are the weights of another network, or of another version of it",
        )
    load_state(backbone.module, given, strict=False)


def _by_own_names(
    state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """Return a state by the library's names: without what a run put before them, and its head."""
    prefixed = [name for name in state if name.startswith(BACKBONE_PREFIX)]
    # A library may begin names of its own like that.
    if not prefixed or any(name in wanted for name in prefixed):
        return state
    return {
        name.removeprefix(BACKBONE_PREFIX): tensor
        for name, tensor in state.items()
        if not name.startswith(HEAD_PREFIX)
    }


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a single number"


def _misfits(given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> list[str]:
    """Return a line for each way in which tensors do not fit a network."""
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
    kinds = [
        f"`{name}` holds {str(given[name].dtype).removeprefix('torch.')} numbers in the file"
        for name, tensor in wanted.items()
        if name in given and tensor.is_floating_point() and not given[name].is_floating_point()
    ]
    lines = []
    if missing:
        lines.append(f"  {len(missing)} tensors are missing: {_some(missing)}")
    if extra:
        lines.append(f"  {len(extra)} tensors are left over: {_some(extra)}")
    if misfits:
        more = f" and {len(misfits) - 3} more" if len(misfits) > 3 else ""
        lines.append(f"  other shapes: {'; '.join(misfits[:3])}{more}")
    if kinds:
        more = f" and {len(kinds) - 3} more" if len(kinds) > 3 else ""
        lines.append(f"  not the fractions that a network has: {'; '.join(kinds[:3])}{more}")
    return lines


def _some(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return f"{shown} …" if len(names) > 3 else shown
