"""The one training loop: every strategy's every step goes through it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tlf.data import LoadedSplit, to_device, train_batches
from tlf.engine.clock import Waiting
from tlf.engine.freeze import GradientArrival, check_optimizer
from tlf.errors import RunError
from tlf.planning import rate_factor

if TYPE_CHECKING:
    from tlf.engine.features import Feed, Fetched
    from tlf.engine.listener import Listener
    from tlf.engine.model import Model
    from tlf.engine.optimizer import StepOptimizer
    from tlf.planning import PlannedStep, RunPlan
    from tlf.plugin import Device
    from tlf.spec.model import RunSpec


#: What to do when numbers have become infinite, or none at all.
NOT_FINITE_HINT = "lower `training.learning_rate`, or set `device.options.precision` to `float32`"

#: If gradients overflow even at this share of their size, they are no numbers at all.
SMALLEST_SCALE = 2.0**-10


@dataclass(frozen=True)
class TrainedEpoch:
    """What one epoch came to.

    Attributes:
        loss: Mean training loss of the images, label smoothing included.
        images: How many images were trained on.
        seconds: How long it took, without the next two.
        waited: Seconds in which images were waited for.
        prefix: Seconds in which what is frozen was computed.
    """

    loss: float
    images: int
    seconds: float
    waited: float
    prefix: float


@dataclass
class Trainer:
    """Trains epochs of one step.

    Attributes:
        model: The network, thawed for the step.
        optimizer: Over the groups that learn.
        step: The step.
        spec: Gives the training settings and the seed.
        plan: Gives the number of batches in an epoch.
        split: The training images.
        feed: Makes what goes into the part that learns.
        device: Where the network is.
        listener: Hears about every batch.
    """

    model: Model
    optimizer: StepOptimizer
    step: PlannedStep
    spec: RunSpec
    plan: RunPlan
    split: LoadedSplit
    feed: Feed
    device: Device
    listener: Listener

    def __post_init__(self) -> None:
        learning = self.model.parameters_of(self.step.trainable)
        check_optimizer(self.optimizer.torch_optimizer, learning, self.step.name)
        self._arrival = GradientArrival(
            learning,
            self.step.name,
            batches=self.step.epochs * self.plan.batches_per_epoch,
        )

    def train_epoch(self, epoch: int) -> TrainedEpoch:
        """Train on every image once.

        Args:
            epoch: Index of the epoch in the whole run.

        Raises:
            RunError: The loss is no number, or a thawed parameter gets no gradient.
        """
        started = time.perf_counter()
        prefix_before = self.feed.features.work.prefix_seconds
        self.model.thaw(self.step.trainable)
        training = self.spec.training
        batches = train_batches(
            self.split,
            self.feed.fetch,
            batch_size=training.batch_size,
            views=training.views,
            seed=self.spec.seed,
            epoch=epoch,
        )
        total = 0.0
        images = 0
        waiting = Waiting(batches)
        for batch, (fetched, labels) in enumerate(waiting):
            loss = self._train_batch(fetched, labels, epoch, batch)
            total += loss * len(labels)
            images += len(labels)
            self.listener.batch_finished(epoch + 1, len(labels), loss)
        self.device.synchronize()
        prefix = self.feed.features.work.prefix_seconds - prefix_before
        seconds = time.perf_counter() - started - waiting.seconds - prefix
        return TrainedEpoch(total / images, images, seconds, waiting.seconds, prefix)

    def _train_batch(self, fetched: Fetched, labels: torch.Tensor, epoch: int, batch: int) -> float:
        inputs = self.feed.crossing(fetched)
        loss = training_loss(
            self.model, inputs, self.feed.cut, labels, spec=self.spec, device=self.device
        )
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RunError(
                f"the loss became `{value}` in step `{self.step.name}`, epoch {epoch + 1}, "
                f"batch {batch + 1}",
                hint=NOT_FINITE_HINT,
            )
        if self.optimizer.scale < SMALLEST_SCALE:
            raise RunError(
                f"the gradients in step `{self.step.name}`, epoch {epoch + 1}, stay infinite in "
                "float16, however small they are made",
                hint=NOT_FINITE_HINT,
            )
        self.optimizer.backward(loss)
        self._arrival.look()
        first, epochs = self.step.schedule
        done = (epoch - first) * self.plan.batches_per_epoch + batch
        # The middle of the batch: the first one is not lost to a rate of 0.
        progress = (done + 0.5) / (epochs * self.plan.batches_per_epoch)
        training = self.spec.training
        self.optimizer.step(rate_factor(training.schedule, training.warmup, progress))
        return value


def training_loss(
    model: Model,
    inputs: torch.Tensor,
    start: int,
    labels: torch.Tensor,
    *,
    spec: RunSpec,
    device: Device,
) -> torch.Tensor:
    """Return the mean cross-entropy of a batch, with label smoothing.

    Args:
        model: The network.
        inputs: What crosses the boundary of what is frozen, on the device.
        start: How many stages lie before that.
        labels: Int64 `(N,)`.
        spec: Gives the smoothing.
        device: Where the network is.
    """
    return torch.nn.functional.cross_entropy(
        model.logits(inputs, start, device),
        to_device(labels, device),
        label_smoothing=spec.training.label_smoothing,
    )
