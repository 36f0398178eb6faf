"""The learning-rate range test: a copy of the network trains while the rate rises.

After Smith, 2015 (https://arxiv.org/abs/1506.01186), with the rate rising by the same factor from step
to step. The copy is trained by the run's own loop, so optimizer, loss, mixing, precision, views and
boundary are those of the run; only the schedule is another. Neither the network, nor the optimizer that
it had before, nor any random generator is another afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from tlf.data import batches_per_epoch
from tlf.engine.diagnosis import NotFiniteError
from tlf.engine.generators import all_generators_kept
from tlf.engine.listener import Listener
from tlf.engine.loop import EpochSoFar, Trainer
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.rate_rules import DIVERGED, Curve, losses_begin

if TYPE_CHECKING:
    import torch

    from tlf.data import LoadedSplit
    from tlf.engine.features import Feed
    from tlf.engine.losses import Loss
    from tlf.engine.model import Model
    from tlf.engine.prepare import Job
    from tlf.engine.teacher import Teacher
    from tlf.planning import PlannedStep

#: Share of the mean so far that stays when a loss is added, where it is looked out for divergence.
FOLLOWING = 0.8


@dataclass(frozen=True)
class Setting:
    """What the tests and the training of one step have in common.

    Attributes:
        job: The run, its plan, and the seed that draws the order.
        step: The step, with everything that it picks picked.
        split: The training images.
        feed: Makes what goes into the part that learns.
        loss: What a batch costs.
        origin: What the step draws the network to, if it does.
        teacher: Whom the network learns from besides; None if there is nobody.
        listener: Hears of every batch.
    """

    job: Job
    step: PlannedStep
    split: LoadedSplit
    feed: Feed
    loss: Loss
    origin: Mapping[str, torch.Tensor] = field(default_factory=dict)
    teacher: Teacher | None = None
    listener: Listener = field(default_factory=Listener)


class _Over(Exception):  # noqa: N818 - no error: the test has seen enough
    """The test is over."""


@dataclass
class Sweep(Trainer):
    """Trains with a given learning rate for each step of the optimizer, and notes the losses.

    Attributes:
        rates: One for each step of the optimizer, as `training.learning_rate`, or as the peak rate of
            the groups that `alone` names.
        alone: The groups whose rate is given; all others keep their planned rates. None for all.
        stop: Whether to stop where the loss has risen too far.
        losses: Of each step of the optimizer.
        ended: Why it ended early; empty if it did not.
    """

    rates: Sequence[float] = ()
    alone: Collection[str] | None = None
    stop: bool = True
    losses: list[float] = field(default_factory=list)
    ended: str = ""
    _sum: tuple[float, int] = (0.0, 0)
    _following: float = 0.0

    def go(self) -> None:
        """Train until every rate has had its step, or the test is over before."""
        self.rest = self._look
        passes = 0
        try:
            while len(self.losses) < len(self.rates):
                # Its own epochs again if there are too few: these views are at hand.
                epoch = self.step.first_epoch + passes % self.step.epochs
                self.so_far = EpochSoFar()
                self.train_epoch(epoch)
                passes += 1
        except _Over:
            pass
        except NotFiniteError:
            self.ended = "not finite"
        self.optimizer.torch_optimizer.zero_grad(set_to_none=True)

    def _add_gradients(
        self, fetched: object, labels: torch.Tensor, epoch: int, order: Sequence[Sequence[int]]
    ) -> float:
        loss = super()._add_gradients(fetched, labels, epoch, order)  # type: ignore[arg-type]
        total, images = self._sum
        self._sum = (total + loss * len(labels), images + len(labels))
        return loss

    def _step(self, epoch: int, batch: int) -> None:  # noqa: ARG002 - as the loop calls it
        rate = self.rates[len(self.losses)]
        if self.alone is None:
            self.optimizer.step(rate / self.spec.training.learning_rate)
        else:
            peaks = dict.fromkeys(self.alone, rate)
            self.optimizer.set_peak_rates({**self.step.rates, **peaks})
            self.optimizer.step(1.0)
        total, images = self._sum
        self.losses.append(total / images)
        self._sum = (0.0, 0)

    def _look(self) -> None:
        """Stop behind the last step, or where the loss has risen too far."""
        count, first = len(self.losses), losses_begin(len(self.rates))
        loss = self.losses[-1]
        self._following = (
            loss if count == 1 else FOLLOWING * self._following + (1 - FOLLOWING) * loss
        )
        begin = sum(self.losses[:first]) / min(count, first)
        if self.stop and count > first and self._following > DIVERGED * begin:
            self.ended = "diverged"
            raise _Over
        if count == len(self.rates):
            raise _Over


def range_test(
    model: Model,
    setting: Setting,
    rates: Sequence[float],
    *,
    previous: StepOptimizer | None = None,
    alone: Collection[str] | None = None,
) -> Curve:
    """Return the training loss for each of some learning rates.

    Args:
        model: The network as it is when the step begins; a copy of it is trained.
        setting: The step, and what it is trained on.
        rates: Rising, each for one step of the optimizer.
        previous: The optimizer of the step before. What goes on learning begins with a copy of its
            state.
        alone: Groups whose peak rate is tried while all others learn at their planned rates; None for
            all of them together, and the rates are those of `training.learning_rate`.

    Raises:
        RunError: A parameter that learns never gets a gradient.
    """
    with all_generators_kept(setting.job.device.torch_device):
        copy = deepcopy(model)
        copy.thaw(setting.step.trainable)
        optimizer = _optimizer(copy, setting, None)
        if previous is not None:
            optimizer.scaler.load_state_dict(previous.scaler.state_dict())
            optimizer.load_state_by_name(deepcopy(previous.state_by_name()))
        sweep = _sweep(copy, setting, optimizer, rates)
        sweep.alone = alone
        sweep.go()
    ending = sweep.ended or "complete"
    done = len(sweep.losses)
    # Nothing is known of the rates of a test whose first loss is no number.
    return Curve(tuple(rates[:done]), tuple(sweep.losses), ending)  # type: ignore[arg-type]


def train_at(
    model: Model,
    setting: Setting,
    rate: float,
    steps: int,
    *,
    previous: StepOptimizer | None = None,
) -> StepOptimizer | None:
    """Train the network itself at one rate; return the optimizer, or None if its numbers broke down.

    Args:
        model: The network; it is trained.
        setting: The step, and what it is trained on.
        rate: As `training.learning_rate`.
        steps: Of the optimizer.
        previous: The optimizer of the step before.
    """
    model.thaw(setting.step.trainable)
    optimizer = _optimizer(model, setting, previous)
    sweep = _sweep(model, setting, optimizer, [rate] * steps)
    sweep.stop = False
    sweep.go()
    return None if sweep.ended else optimizer


def optimizer_steps(job: Job, step: PlannedStep, images: int) -> int:
    """Return how many steps the optimizer takes in a step of the plan.

    Args:
        job: The run.
        step: Of the plan.
        images: To train on.
    """
    training = job.spec.training
    each = ceil(batches_per_epoch(images, training.batch_size) / training.accumulate)
    return each * step.epochs


def _optimizer(model: Model, setting: Setting, previous: StepOptimizer | None) -> StepOptimizer:
    job = setting.job
    training, precision = job.spec.training, job.device.precision
    return StepOptimizer(model, setting.step, training, precision, previous, setting.origin)


def _sweep(
    model: Model, setting: Setting, optimizer: StepOptimizer, rates: Sequence[float]
) -> Sweep:
    job = setting.job
    # Averages of weights are for evaluation, and nothing is evaluated.
    training = job.spec.training.model_copy(update={"ema": None})
    return Sweep(
        model=model,
        optimizer=optimizer,
        step=setting.step,
        spec=job.spec.model_copy(update={"training": training}),
        plan=job.plan,
        split=setting.split,
        feed=setting.feed,
        device=job.device,
        listener=setting.listener,
        loss=setting.loss,
        teacher=setting.teacher,
        rates=rates,
    )
