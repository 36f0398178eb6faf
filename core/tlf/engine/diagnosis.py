"""What to say when the numbers of a network are no numbers any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from tlf.errors import RunError
from tlf.plugin import HEAD

if TYPE_CHECKING:
    from tlf.engine.model import Model
    from tlf.plugin import Device

#: What to do when numbers have become infinite, or none at all.
NOT_FINITE_HINT = "lower `training.learning_rate`, or set `device.options.precision` to `float32`"

#: How many images of a batch an error names; the rest are counted.
SHOWN = 8


class NotFiniteError(RunError):
    """The numbers of a network are no numbers any more."""


def not_finite(what: str, *, began: str, rate: float, items: Sequence[str]) -> NotFiniteError:
    """Return the error for a batch whose numbers are not finite.

    Args:
        what: What is not finite, and in which batch.
        began: What `where_it_began` returned.
        rate: Peak learning rate of the batch.
        items: Ids of its images.
    """
    names = ", ".join(f"`{item}`" for item in items[:SHOWN])
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return NotFiniteError(
        f"{what}, at a learning rate of {rate:.3g}\n"
        f"  where it began: {began}\n"
        f"  images of the batch: {names}{more}",
        hint=NOT_FINITE_HINT,
    )


@torch.no_grad()
def where_it_began(model: Model, inputs: torch.Tensor, start: int, device: Device) -> str:
    """Return the first place where numbers are not finite, in words.

    The batch goes through the network once more, stage by stage. The run is over by then, so that it
    draws from the generators and moves statistics does no harm.

    Args:
        model: The network.
        inputs: What crosses the boundary of what is frozen.
        start: How many stages lie before that.
        device: Where the network is.
    """
    tensors = model.tensors()
    groups = model.groups()
    for stage in (*(stage.name for stage in model.backbone.stages), HEAD):
        names = [name for name in groups if name.rpartition(":")[0] == stage]
        bad = [name for name in model.names_in(names) if not _finite(tensors[name])]
        if bad:
            return f"the weights of stage `{stage}`, such as `{bad[0]}`, in an earlier batch"
    if not _finite(inputs):
        return "what comes into the network"
    crossing = inputs
    with device.autocast():
        for index in range(start, len(model.backbone.stages)):
            crossing = model.backbone.run(crossing, index, index + 1)
            if not _finite(crossing):
                return f"what comes out of stage `{model.backbone.stages[index].name}`"
    if not _finite(model.head(crossing)):
        return f"what comes out of stage `{HEAD}`"
    return "the loss, or its gradients: what comes out of every stage is finite"


def _finite(tensor: torch.Tensor) -> bool:
    return bool(tensor.isfinite().all())
