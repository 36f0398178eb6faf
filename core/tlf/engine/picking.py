"""What a step trains, where the run itself picks it: by the gradients at the moment the step begins."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tlf.data import batch_order, to_device, train_batches
from tlf.engine.loop import training_loss

if TYPE_CHECKING:
    from tlf.data import LoadedSplit
    from tlf.engine.features import Feed
    from tlf.engine.losses import Loss
    from tlf.engine.model import Model
    from tlf.planning import PlannedStep
    from tlf.plugin import Device
    from tlf.spec.model import RunSpec

#: How many training images the gradients are of, at most.
GRADIENT_IMAGES = 512


@dataclass(frozen=True)
class Picked:
    """What was picked.

    Attributes:
        by: What it goes by.
        stages: Names of the stages, in the order of the network.
        groups: Their groups that learn.
        scores: Of each stage that there was to pick from.
        images: How many images the gradients are of.
    """

    by: str
    stages: tuple[str, ...]
    groups: tuple[str, ...]
    scores: Mapping[str, float]
    images: int

    def as_json(self) -> dict[str, Any]:
        """Return what the report holds of it."""
        return {"by": self.by, "stages": list(self.stages), "scores": dict(self.scores)}


def pick(
    model: Model,
    step: PlannedStep,
    split: LoadedSplit,
    feed: Feed,
    *,
    spec: RunSpec,
    loss: Loss,
    device: Device,
) -> Picked:
    """Return the stages with the longest gradients for the length of their weights.

    The gradient is that of the mean loss of training images, in evaluation mode and as evaluation sees
    them, so that nothing is drawn and no statistic moves. Nothing is changed but what learns.

    Args:
        model: The network.
        step: Its selector says what there is to pick from.
        split: The training images.
        feed: Makes what goes into the part that may learn.
        spec: Gives the size of the batches, and the seed that draws the images.
        loss: What a batch costs.
        device: Where the network is.
    """
    selector = step.selector
    assert selector is not None
    model.thaw(selector.among)
    model.eval()
    order = batch_order(len(split), spec.training.batch_size, spec.seed, 0)
    batches = train_batches(split, feed.fetch, order, views="none", seed=spec.seed, epoch=0)
    seen = 0
    with closing(batches):
        for fetched, labels in batches:
            inputs, targets = feed.crossing(fetched), to_device(labels, device)
            mean = training_loss(model, inputs, feed.cut, targets, loss=loss, device=device)
            torch.autograd.backward(mean * len(labels))
            seen += len(labels)
            if seen >= GRADIENT_IMAGES:
                break
    by_stage: dict[str, list[str]] = {}
    for group in selector.among:
        by_stage.setdefault(group.rpartition(":")[0], []).append(group)
    scores = {stage: _relative_norm(model, groups) / seen for stage, groups in by_stage.items()}
    for parameter in model.parameters_of(selector.among).values():
        parameter.grad = None
    best = sorted(scores, key=lambda stage: -scores[stage])[: selector.count]
    stages = tuple(stage for stage in by_stage if stage in best)
    groups = tuple(group for stage in stages for group in by_stage[stage])
    return Picked(selector.by, stages, groups, scores, seen)


def _relative_norm(model: Model, groups: list[str]) -> float:
    parameters = list(model.parameters_of(groups).values())
    gradient = sum(float(p.grad.square().sum()) for p in parameters if p.grad is not None)
    weights = sum(float(p.detach().square().sum()) for p in parameters)
    return float((gradient / weights) ** 0.5) if weights else 0.0
