"""The one training loop: every strategy's every step goes through it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from tlf.data import LoadedSplit, batch_order, to_device, train_batches
from tlf.engine.clock import Waiting
from tlf.engine.diagnosis import not_finite, where_it_began
from tlf.engine.freeze import GradientArrival, check_optimizer
from tlf.engine.multilabel.loss import multilabel_loss
from tlf.planning import rate_factor

if TYPE_CHECKING:
    from tlf.engine.features import Feed, Fetched
    from tlf.engine.listener import Listener
    from tlf.engine.model import Model
    from tlf.engine.optimizer import StepOptimizer
    from tlf.planning import PlannedStep, RunPlan
    from tlf.plugin import Device
    from tlf.spec.model import RunSpec


#: If gradients overflow even at this share of their size, they are no numbers at all.
SMALLEST_SCALE = 2.0**-10


@dataclass
class EpochSoFar:
    """What an epoch has come to so far.

    Attributes:
        batches: How many batches were trained on.
        images: How many images.
        total: Sum of their training losses, label smoothing included.
        seconds: How long it took, without the next two.
        waited: Seconds in which images were waited for.
        prefix: Seconds in which what is frozen was computed.
    """

    batches: int = 0
    images: int = 0
    total: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    prefix: float = 0.0

    @property
    def loss(self) -> float:
        """Mean training loss of the images."""
        return self.total / self.images


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
        rest: Called after every batch: the run can be saved there, and stopped.
        so_far: What the epoch has come to, while there is one.
        arrival: Watches that what learns gets gradients.
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
    rest: Callable[[], None] = lambda: None
    so_far: EpochSoFar = field(default_factory=EpochSoFar)
    arrival: GradientArrival = field(init=False)

    def __post_init__(self) -> None:
        learning = self.model.parameters_of(self.step.trainable)
        check_optimizer(self.optimizer.torch_optimizer, learning, self.step.name)
        self.arrival = GradientArrival(
            learning,
            self.step.name,
            batches=self.step.epochs * self.plan.batches_per_epoch,
        )

    def train_epoch(self, epoch: int) -> EpochSoFar:
        """Train on every image once; on what is left of them, if the epoch has begun already.

        Args:
            epoch: Index of the epoch in the whole run.

        Raises:
            RunError: The loss is no number, or a thawed parameter gets no gradient.
        """
        started = time.perf_counter()
        work = self.feed.features.work
        prefix_before = work.prefix_seconds
        so_far = self.so_far
        before = EpochSoFar(seconds=so_far.seconds, waited=so_far.waited, prefix=so_far.prefix)
        self.model.thaw(self.step.trainable)
        training = self.spec.training
        batches = train_batches(
            self.split,
            self.feed.fetch,
            batch_size=training.batch_size,
            views=training.views,
            seed=self.spec.seed,
            epoch=epoch,
            done=so_far.batches,
        )
        waiting = Waiting(batches)

        def take_time() -> None:
            prefix = work.prefix_seconds - prefix_before
            seconds = time.perf_counter() - started - waiting.seconds - prefix
            so_far.seconds = before.seconds + seconds
            so_far.waited = before.waited + waiting.seconds
            so_far.prefix = before.prefix + prefix

        for fetched, labels in waiting:
            loss = self._train_batch(fetched, labels, epoch, so_far.batches)
            so_far.batches += 1
            so_far.images += len(labels)
            so_far.total += loss * len(labels)
            take_time()
            self.listener.batch_finished(epoch + 1, len(labels), loss)
            self.rest()
        self.device.synchronize()
        take_time()
        return so_far

    def _train_batch(self, fetched: Fetched, labels: torch.Tensor, epoch: int, batch: int) -> float:
        first, epochs = self.step.schedule
        done = (epoch - first) * self.plan.batches_per_epoch + batch
        # The middle of the batch: the first one is not lost to a rate of 0.
        progress = (done + 0.5) / (epochs * self.plan.batches_per_epoch)
        training = self.spec.training
        factor = rate_factor(training.schedule, training.warmup, progress)
        inputs = self.feed.crossing(fetched)
        loss = training_loss(
            self.model, inputs, self.feed.cut, labels, spec=self.spec, device=self.device
        )
        value = float(loss.detach())
        problem = None
        if not math.isfinite(value):
            problem = f"the loss became `{value}`"
        elif self.optimizer.scale < SMALLEST_SCALE:
            problem = "the gradients stay infinite in float16, however small they are made,"
        if problem is not None:
            raise not_finite(
                f"{problem} in step `{self.step.name}`, epoch {epoch + 1}, batch {batch + 1}",
                began=where_it_began(self.model, inputs, self.feed.cut, self.device),
                rate=training.learning_rate * factor,
                items=self._items(epoch, batch),
            )
        self.optimizer.backward(loss)
        self.arrival.look()
        self.optimizer.step(factor)
        return value

    def _items(self, epoch: int, batch: int) -> list[str]:
        """Return the ids of the images of a batch."""
        order = batch_order(len(self.split), self.spec.training.batch_size, self.spec.seed, epoch)
        return [self.split.items[index].id for index in order[batch]]


def training_loss(
    model: Model,
    inputs: torch.Tensor,
    start: int,
    labels: torch.Tensor,
    *,
    spec: RunSpec,
    device: Device,
) -> torch.Tensor:
    """Return the mean cross-entropy of a batch, with label smoothing; see `multilabel_loss`.

    Args:
        model: The network.
        inputs: What crosses the boundary of what is frozen, on the device.
        start: How many stages lie before that.
        labels: Int64 `(N,)`; of images with any number of classes float32 `(N, classes)`.
        spec: Gives the smoothing.
        device: Where the network is.
    """
    logits, labels = model.logits(inputs, start, device), to_device(labels, device)
    smoothing = spec.training.label_smoothing
    if labels.is_floating_point():
        return multilabel_loss(logits, labels, label_smoothing=smoothing)
    return torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
