"""The one training loop: every strategy's every step goes through it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from tlf.data import LoadedSplit, batch_order, to_device, train_batches
from tlf.engine.averaging import MovingAverage
from tlf.engine.clock import Waiting
from tlf.engine.diagnosis import not_finite, where_it_began
from tlf.engine.freeze import GradientArrival, check_optimizer
from tlf.engine.losses import one_hot
from tlf.engine.mixing import Mixing
from tlf.planning import rate_factor

if TYPE_CHECKING:
    from tlf.engine.features import Feed, Fetched
    from tlf.engine.listener import Listener
    from tlf.engine.losses import Loss
    from tlf.engine.model import Model
    from tlf.engine.optimizer import StepOptimizer
    from tlf.engine.teacher import Teacher
    from tlf.planning import PlannedStep, RunPlan
    from tlf.plugin import Device
    from tlf.spec.model import RunSpec

    #: What is fetched for the network, and for its teacher.
    _Fetched = tuple[Fetched, Fetched | None]

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
        teacher: Whom the network learns from besides; None if there is nobody.
        rest: Called after every step of the optimizer: the run can be saved there, and stopped.
        so_far: What the epoch has come to, while there is one.
        loss: What a batch costs.
        arrival: Watches that what learns gets gradients.
        mixing: Mixes the images of a batch; None if they stay as they are.
        average: Of the weights that learn; None if they are taken as they are.
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
    loss: Loss
    teacher: Teacher | None = None
    rest: Callable[[], None] = lambda: None
    so_far: EpochSoFar = field(default_factory=EpochSoFar)
    arrival: GradientArrival = field(init=False)
    mixing: Mixing | None = field(init=False, default=None)
    average: MovingAverage | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        learning = self.model.parameters_of(self.step.trainable)
        check_optimizer(self.optimizer.torch_optimizer, learning, self.step.name)
        training = self.spec.training
        self.arrival = GradientArrival(
            learning,
            self.step.name,
            batches=self.step.epochs * self.plan.batches_per_epoch,
        )
        if training.mixing is not None:
            self.mixing = Mixing(training.mixing, len(self.plan.classes), self.spec.seed)
        if training.ema is not None:
            self.average = MovingAverage(self.model, self.step.trainable, training.ema)

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
        order = self._order(epoch)
        batches = train_batches(
            self.split,
            self._fetch,
            order,
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
            batch = so_far.batches
            loss = self._add_gradients(fetched, labels, epoch, order)
            is_step = (batch + 1) % training.accumulate == 0 or batch + 1 == len(order)
            if is_step:
                self._step(epoch, batch)
            so_far.batches += 1
            so_far.images += len(labels)
            so_far.total += loss * len(labels)
            take_time()
            self.listener.batch_finished(epoch + 1, len(labels), loss)
            # In between, the gradients so far would be lost.
            if is_step:
                self.rest()
        self.device.synchronize()
        take_time()
        return so_far

    def _fetch(
        self, split: LoadedSplit, indices: Sequence[int], views: Sequence[int | None]
    ) -> _Fetched:
        """Return what can be had of some views without a network. May run in the background."""
        mine = self.feed.fetch(split, indices, views)
        if self.teacher is None or self.mixing is not None:
            return mine, None
        return mine, self.teacher.fetch(split, indices, views, mine)

    def _add_gradients(
        self, fetched: _Fetched, labels: torch.Tensor, epoch: int, order: Sequence[Sequence[int]]
    ) -> float:
        """Add the gradients of the next batch to those that there are, and return its loss."""
        batch, together = self.so_far.batches, self.spec.training.accumulate
        targets = to_device(labels, self.device)
        mine, of_teacher = fetched
        taught = None
        if self.mixing is None:
            inputs = self.feed.crossing(mine)
            if of_teacher is not None:
                assert self.teacher is not None
                taught = self.teacher.logits(of_teacher)
        else:
            several = targets.is_floating_point()
            shares = targets if several else one_hot(targets, len(self.plan.classes))
            images, targets = self.mixing.mix(self.feed.images(mine), shares, epoch, batch)
            inputs = self.feed.crossing_of(images)
            if self.teacher is not None:
                taught = self.teacher.logits_of(images)
        loss = training_loss(
            self.model,
            inputs,
            self.feed.cut,
            targets,
            taught,
            loss=self.loss,
            device=self.device,
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
                rate=self.spec.training.learning_rate * self._rate_factor(epoch, batch),
                items=[self.split.items[index].id for index in order[batch]],
            )
        if together > 1:
            first = batch - batch % together
            count = sum(len(one) for one in order[first : first + together])
            loss = loss * (len(labels) / count)
        self.optimizer.backward(loss)
        self.arrival.look()
        return value

    def _step(self, epoch: int, batch: int) -> None:
        """Take a step of the optimizer, behind a batch."""
        self.optimizer.step(self._rate_factor(epoch, batch))
        if self.average is not None:
            self.average.update()

    def _rate_factor(self, epoch: int, batch: int) -> float:
        """Return what the schedule multiplies the peak rates by, at the step that a batch is of."""
        training = self.spec.training
        first, epochs = self.step.schedule
        each = math.ceil(self.plan.batches_per_epoch / training.accumulate)
        done = (epoch - first) * each + batch // training.accumulate
        # The middle of the step: the first one is not lost to a rate of 0.
        progress = (done + 0.5) / (epochs * each)
        return rate_factor(training.schedule, training.warmup, progress)

    def _order(self, epoch: int) -> list[list[int]]:
        """Return the places of the images of each batch of an epoch."""
        training = self.spec.training
        balanced = self.split.labels.tolist() if training.sampling == "balanced" else None
        return batch_order(
            len(self.split), training.batch_size, self.spec.seed, epoch, balanced=balanced
        )


def training_loss(
    model: Model,
    inputs: torch.Tensor,
    start: int,
    targets: torch.Tensor,
    taught: torch.Tensor | None = None,
    *,
    loss: Loss,
    device: Device,
) -> torch.Tensor:
    """Return the mean loss of a batch.

    Args:
        model: The network.
        inputs: What crosses the boundary of what is frozen, on the device.
        start: How many stages lie before that.
        targets: Int64 `(N,)`, or the share of each class, float32 `(N, classes)`; on the device.
        taught: Logits of a teacher, float32 `(N, classes)`, on the device; None if there is none.
        loss: What it costs.
        device: Where the network is.
    """
    return loss(model.logits(inputs, start, device), targets, taught)
