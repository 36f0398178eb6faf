"""How far each stage of the backbone has moved from the weights that it began with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.engine.artifact import read_artifact
from tlf.engine.files import file_digest
from tlf.engine.model import BACKBONE_PREFIX
from tlf.engine.network import backbone_with_weights
from tlf.engine.parts import local_weights_of, make_family
from tlf.errors import TlfError
from tlf.registry import load_registry

if TYPE_CHECKING:
    from tlf.engine.analysing.recorded import RecordedRun
    from tlf.engine.parts import Made
    from tlf.plugin import Backbone, BackboneFamily


class NotToBeHadError(Exception):
    """The weights that a run began with are not here; the words say why."""


def movement(run: RecordedRun) -> list[dict[str, Any]]:
    """Return how far each stage has moved.

    Both sides are the network's own tensors, before anything is folded for speed, so that what was
    frozen comes out as exactly 0.

    Args:
        run: The run.

    Raises:
        NotToBeHadError: The weights that it began with are not here.
    """
    description, state = read_artifact(run.folder)
    family_name, _, model = description.backbone.name.partition("/")
    if run.environment["weights"] is None:
        raise NotToBeHadError("the run began with random weights, which nobody has kept")
    try:
        family = make_family(load_registry(), family_name, description.backbone.options)
        path = _find_weights(run, family, model)
        with torch.random.fork_rng(devices=[]):
            backbone = backbone_with_weights(family, model, description.image_size, path)
    except TlfError as error:
        raise NotToBeHadError(f"the weights cannot be read: {error.message}") from error
    return _moved(backbone, state, _trainable_in(run))


def _find_weights(run: RecordedRun, family: Made[BackboneFamily[Any]], model: str) -> Path:
    """Return the file that the run read; nothing is downloaded."""
    then = run.environment["weights"]
    path: Path | None = Path(then["file"])
    if path is not None and not path.is_file():
        path = local_weights_of(family, model) if run.plan["weights"] == "default" else None
    if path is None:
        raise NotToBeHadError(f"the weights are not at `{then['file']}` any more")
    if file_digest(path) != then["sha256"]:
        raise NotToBeHadError(f"the weights in `{path}` are not those of the run any more")
    return path


def _trainable_in(run: RecordedRun) -> Mapping[str, Sequence[str]]:
    """Return the names of the steps in which each stage had anything that learned."""
    found: dict[str, list[str]] = {}
    for planned, done in zip(run.plan["steps"], run.report["steps"], strict=True):
        groups = planned["trainable"]
        if "picked" in done:
            # The plan names all that there was to pick from.
            among, picked = planned["selector"]["among"], done["picked"]["stages"]
            groups = [one for one in groups if one not in among or _stage(one) in picked]
        for stage in dict.fromkeys(map(_stage, groups)):
            found.setdefault(stage, []).append(done["name"])
    return found


def _stage(group: str) -> str:
    return group.rpartition(":")[0]


def _moved(
    backbone: Backbone, state: Mapping[str, torch.Tensor], trainable_in: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    before = dict(backbone.module.named_parameters())
    stages = []
    for stage in backbone.stages:
        names = [name for group in stage.groups.values() for name in group.parameters]
        start = _length(before[name] for name in names)
        change = _length(_difference(state, before, name) for name in names)
        stages.append(
            {
                "stage": stage.name,
                "parameters": sum(before[name].numel() for name in names),
                # Of a stage that begins at 0, nobody can say how many times as long it has become.
                "relative_change": change / start if start else (None if change else 0.0),
                "trainable_in": list(trainable_in.get(stage.name, ())),
            }
        )
    return stages


def _difference(
    state: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor], name: str
) -> torch.Tensor:
    return state[BACKBONE_PREFIX + name].double() - before[name].detach().double()


def _length(tensors: Iterable[torch.Tensor]) -> float:
    return float(sum(float(tensor.detach().double().square().sum()) for tensor in tensors) ** 0.5)
