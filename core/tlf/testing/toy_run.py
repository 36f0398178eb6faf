"""A whole run of the engine on the toy network, with a plugin that is to be tried in it."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.discovery import PluginRecord
from tlf.plugin import BackboneFamilyDeclaration, DataSourceDeclaration, Declaration
from tlf.registry import Registry, load_registry

if TYPE_CHECKING:
    import torch

    from tlf.registry import Entry

_HOME = "tlf.testing.toys"

#: What a toy run trains for, by default.
TOY_EPOCHS = 8

#: The plugin of the toys. It is not installed: a run is told of it.
TOY_PLUGIN = PluginRecord(
    name="toy",
    distribution="tlf-toy",
    version="1.0",
    value=_HOME,
    state="ok",
    declarations={
        "backbone-family": (
            BackboneFamilyDeclaration(
                name="toy",
                summary="a network of a thousand parameters",
                target=f"{_HOME}:ToyFamily",
                example_models=("tiny",),
            ),
        ),
        "data-source": (
            DataSourceDeclaration(
                name="toy/images",
                summary="two classes of tiny images",
                target=f"{_HOME}:ToySource",
                example_files=f"{_HOME}:write_images",
            ),
        ),
        "observer": (
            Declaration(name="toy/lines", summary="a line an epoch", target=f"{_HOME}:ToyObserver"),
        ),
        "strategy": (
            Declaration(
                name="toy/adapters",
                summary="what is added to the backbone, and merged at the end",
                target="tlf.testing.toy_adapters:ToyAdapters",
            ),
            Declaration(
                name="toy/two-steps",
                summary="the head, then everything",
                target=f"{_HOME}:ToyStrategy",
            ),
            Declaration(
                name="toy/solve-then-train",
                summary="the head solved for, then everything",
                target=f"{_HOME}:ToySolver",
            ),
        ),
        "transform": (
            Declaration(
                name="toy/square",
                summary="a square, mirrored or not",
                target=f"{_HOME}:ToyTransform",
            ),
        ),
    },
)


@dataclass(frozen=True)
class ToyRun:
    """What a toy run came to.

    Attributes:
        report: What `report.json` holds.
        files: Content of each file of the run directory, by its name.
        warnings: What a user should know of what did not go as usual.
        start: The network's tensors before the run, by name.
        end: Those after it, with the head's.
    """

    report: Mapping[str, Any]
    files: Mapping[str, bytes]
    warnings: tuple[str, ...]
    start: Mapping[str, torch.Tensor]
    end: Mapping[str, torch.Tensor]


def toy_registry(*entries: Entry) -> Registry:
    """Return the installed plugins, the toys, and those of the given entries.

    Args:
        entries: What is to be tried; installed or not.
    """
    trying = {entry.plugin.name: entry.plugin for entry in entries}
    installed = [one for one in load_registry().plugins if one.name not in {"toy", *trying}]
    return Registry([*installed, TOY_PLUGIN, *trying.values()])


def toy_spec(folder: Path, **changes: object) -> dict[str, Any]:
    """Return the spec of a run on the toy network, which takes a fraction of a second.

    Args:
        folder: Where its images are, and its output goes.
        changes: Sections that replace those of the spec.
    """
    return {
        "name": "toy",
        "data": "toy/images",
        "backbone": {"name": "toy/tiny", "weights": "weights.safetensors"},
        "transforms": "toy/square",
        "strategy": "toy/two-steps",
        "training": {"epochs": TOY_EPOCHS, "batch_size": 4, "views": "none", "learning_rate": 0.05},
        "device": {"name": "cpu", "options": {"precision": "float32"}},
        "cache": {"mode": "off"},
        "output": str(folder / "runs"),
        **changes,
    }


@functools.cache
def toy_groups() -> dict[str, tuple[str, ...]]:
    """Return the tensors of the toy network by group, parameters and buffers."""
    from tlf.plugin import Options
    from tlf.testing.toys import ToyFamily

    stages = ToyFamily(Options()).build("tiny", 8).stages
    return {
        f"{stage.name}:{kind}": (*group.parameters, *group.buffers)
        for stage in stages
        for kind, group in stage.groups.items()
    }


#: The last run that `tried` carried out, and of what: several checks look at the same one.
_last_tried: list[tuple[Entry, Mapping[str, Any], ToyRun]] = []


def tried(entry: Entry, example: Mapping[str, Any], **changes: object) -> ToyRun:
    """Return what a toy run comes to with something of a plugin's in it. The last one is remembered.

    Args:
        entry: A strategy or an observer.
        example: Its options.
        changes: Sections of the spec that are not as in `toy_spec`.

    Raises:
        TlfError: The run failed.
    """
    for known, options, run in _last_tried:
        if known is entry and options is example:
            return run
    part = {"name": entry.declaration.name, "options": dict(example)}
    own = {"observers": [part]} if entry.kind == "observer" else {"strategy": part}
    run = toy_run([entry], **own, **changes)
    _last_tried[:] = [(entry, example, run)]
    return run


def toy_run(entries: Sequence[Entry] = (), **changes: object) -> ToyRun:
    """Carry out a run on the toy network, from weights that are always the same.

    Args:
        entries: What is to be tried; installed or not.
        changes: Sections of the spec that are not as in `toy_spec`.

    Raises:
        TlfError: The run failed.
    """
    import torch

    from tlf.engine.files import read_tensors, write_tensors
    from tlf.engine.listener import Listener
    from tlf.engine.run import run_raw
    from tlf.spec import load_raw
    from tlf.testing.networks import one_thread
    from tlf.testing.toys import ToyNetwork, write_images

    warnings: list[str] = []

    class Listening(Listener):
        def warning(self, message: str) -> None:
            warnings.append(message)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            start = {key: value.clone() for key, value in ToyNetwork().state_dict().items()}
        write_images(folder)
        write_tensors(folder / "weights.safetensors", start)
        raw = replace(load_raw(toy_spec(folder, **changes)), folder=folder)
        with one_thread():
            run = run_raw(raw, registry=toy_registry(*entries), listener=Listening())
        paths = (path for path in run.directory.iterdir() if path.is_file())
        return ToyRun(
            report=run.report,
            files={path.name: path.read_bytes() for path in paths},
            warnings=tuple(warnings),
            start=start,
            end=read_tensors(run.directory / "model.safetensors"),
        )
