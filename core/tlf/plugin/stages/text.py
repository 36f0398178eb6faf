"""A split as text, so that it can be kept: finding it takes longer than reading it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import torch
from torch.utils._pytree import treespec_dumps, treespec_loads

from tlf.plugin.outline import StageOutline
from tlf.plugin.stages.cuts import Cut
from tlf.plugin.stages.folds import Fold
from tlf.plugin.stages.split import DummyTensor, Group, Split, StagePart, Stub


def split_to_text(split: Split) -> str:
    """Return a split as JSON.

    Args:
        split: The split.

    Raises:
        TypeError: A module returns what JSON cannot say.
    """
    return json.dumps(
        {
            "stages": [_stage_to_json(stage) for stage in split.stages],
            "cuts": [asdict(cut) for cut in split.cuts],
            "stubs": [[_stub_to_json(stub) for stub in stubs] for stubs in split.stubs],
            "containers": split.containers,
            "output_width": split.output_width,
            "imbalances": split.imbalances,
            "folds": [asdict(fold) for fold in split.folds],
            "lowered": sorted(split.lowered),
            "called": sorted(split.called),
        }
    )


def split_from_text(text: str) -> Split:
    """Return the split that `split_to_text` made a text of.

    Args:
        text: The text.

    Raises:
        ValueError: It is no such text. So do KeyError, TypeError and AttributeError.
    """
    found = json.loads(text)
    return Split(
        stages=tuple(_stage_from_json(stage) for stage in found["stages"]),
        cuts=tuple(Cut(**{**cut, "shape": tuple(cut["shape"])}) for cut in found["cuts"]),
        stubs=tuple(tuple(_stub_from_json(stub) for stub in stubs) for stubs in found["stubs"]),
        containers=tuple(found["containers"]),
        output_width=found["output_width"],
        imbalances=tuple(found["imbalances"]),
        folds=tuple(Fold(**fold) for fold in found["folds"]),
        lowered=frozenset(found["lowered"]),
        called=frozenset(found["called"]),
    )


def _stage_to_json(stage: StagePart) -> dict[str, Any]:
    return {
        "outline": asdict(stage.outline),
        "groups": {kind: asdict(group) for kind, group in stage.groups.items()},
        "modules": stage.modules,
        "norms": sorted(stage.norms),
    }


def _stage_from_json(found: dict[str, Any]) -> StagePart:
    outline = found["outline"]
    return StagePart(
        outline=StageOutline(**{**outline, "output_shape": tuple(outline["output_shape"])}),
        groups={
            kind: Group(tuple(group["parameters"]), tuple(group["buffers"]))
            for kind, group in found["groups"].items()
        },
        modules=tuple(found["modules"]),
        norms=frozenset(found["norms"]),
    )


def _stub_to_json(stub: Stub) -> dict[str, Any]:
    try:
        tree = treespec_dumps(stub.tree)
    except NotImplementedError as error:
        raise TypeError(str(error)) from error
    return {
        "module": stub.module,
        "leaves": [_leaf_to_json(leaf) for leaf in stub.leaves],
        "tree": tree,
    }


def _stub_from_json(found: dict[str, Any]) -> Stub:
    leaves = tuple(_leaf_from_json(leaf) for leaf in found["leaves"])
    return Stub(found["module"], leaves, treespec_loads(found["tree"]))


def _leaf_to_json(leaf: object) -> dict[str, Any]:
    if isinstance(leaf, DummyTensor):
        dtype = str(leaf.dtype).removeprefix("torch.")
        return {"tensor": [leaf.two, leaf.three, dtype, leaf.overwritten]}
    if type(leaf) in (bool, int, float, str, type(None)):
        return {"plain": leaf}
    raise TypeError(f"a module returns a {type(leaf).__name__}")


def _leaf_from_json(found: dict[str, Any]) -> object:
    if "plain" in found:
        return found["plain"]
    two, three, dtype, overwritten = found["tensor"]
    return DummyTensor(tuple(two), tuple(three), getattr(torch, dtype), overwritten)
