"""The weights that a network had at some moment: kept, put back, averaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

if TYPE_CHECKING:
    from tlf.engine.model import Model
    from tlf.planning import PlannedStep

#: Parameters and buffers by name, in the memory of the processor.
Snapshot: TypeAlias = Mapping[str, torch.Tensor]


def snapshot(model: Model, groups: Iterable[str]) -> Snapshot:
    """Return a copy of what some groups hold.

    Args:
        model: The network.
        groups: Names of groups, `stage:kind`.
    """
    tensors = model.tensors()
    return {name: tensors[name].detach().cpu().clone() for name in model.names_in(groups)}


@torch.no_grad()
def put_back(model: Model, state: Snapshot) -> None:
    """Write weights into a network, whose tensors stay the objects that they are.

    Args:
        model: The network.
        state: Of some of its groups.
    """
    tensors = model.tensors()
    for name, values in state.items():
        tensors[name].copy_(values)


def origin_of(model: Model, steps: Iterable[PlannedStep]) -> Snapshot:
    """Return a copy of what the steps of a plan draw the backbone to that pull.

    Args:
        model: The network at the start of the run.
        steps: Of the plan.
    """
    pulled = {group for step in steps if step.pull for group in step.trainable}
    return snapshot(model, pulled - set(model.outline.stages[-1].groups))


def averaged(states: Sequence[Snapshot], shares: Sequence[float]) -> Snapshot:
    """Return the weighted average of snapshots.

    Computed in float64, so that equal values stay what they are. What is no floating-point number, such
    as a count of batches, is taken from the last that has a share.

    Args:
        states: Of the same groups, at least one.
        shares: Of each, with a sum of 1.
    """
    used = [(state, share) for state, share in zip(states, shares, strict=True) if share > 0]
    if len(used) == 1:
        return used[0][0]
    mixed = {}
    for name, last in used[-1][0].items():
        if not last.is_floating_point():
            mixed[name] = last
            continue
        first = used[0][0][name].double()
        # From the first one on, so that what is equal in all comes out as it went in: a zero with its
        # sign, too.
        apart = torch.zeros_like(first)
        for state, share in used[1:]:
            apart += (state[name].double() - first) * share
        mixed[name] = torch.where(apart == 0, first, first + apart).to(last.dtype)
    return mixed


def packed(named: Mapping[str, Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Return the tensors of several mappings as one file holds them: `<name>|<name in the mapping>`.

    Args:
        named: Weights of several moments by name, say. Numbers become tensors; None is left out.
    """
    return {
        f"{name}|{own}": torch.as_tensor(value)
        for name, values in named.items()
        for own, value in values.items()
        if value is not None
    }


def unpacked(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Return what `packed` was given.

    Args:
        tensors: What it returned.
    """
    named: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        first, _, own = name.partition("|")
        named.setdefault(first, {})[own] = tensor
    return named
