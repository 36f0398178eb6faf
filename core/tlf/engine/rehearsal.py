"""A run's network as it is when each step begins, without the run.

Of what lies before a step, what is quick is done as the run does it: heads are solved for, stages are
picked, weights are put back. What takes long is cut short: a step that trains is trained for no longer
than it was tested, at the rate that its test came to. Only training images are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from tlf.engine.losses import loss_of
from tlf.engine.model import LinearHead
from tlf.engine.picking import pick
from tlf.engine.range_test import Setting, train_at
from tlf.engine.snapshots import Snapshot, averaged, origin_of, put_back, snapshot
from tlf.engine.solving import HeadSolver
from tlf.planning import with_trainable

if TYPE_CHECKING:
    from tlf.data import Loaded
    from tlf.engine.boundary import Boundary
    from tlf.engine.features import Feed
    from tlf.engine.listener import Listener
    from tlf.engine.losses import Loss
    from tlf.engine.model import Model
    from tlf.engine.optimizer import StepOptimizer
    from tlf.engine.prepare import Job
    from tlf.engine.teacher import Teacher
    from tlf.planning import PlannedStep, RunPlan


@dataclass
class Rehearsal:
    """Goes through the steps of a plan, several times, each time with another seed.

    Attributes:
        job: The run, with what each step keeps of its frozen part.
        loaded: The training images.
        model: The network at the start of the run. It is changed.
        boundary: What is kept of what is frozen.
        listener: Hears of every batch.
        teacher: Whom the network learns from besides; None if there is nobody.
        optimizer: Of the last step that trained, in this round.
        loss: What a batch costs.
    """

    job: Job
    loaded: Loaded
    model: Model
    boundary: Boundary
    listener: Listener
    teacher: Teacher | None = None
    optimizer: StepOptimizer | None = field(init=False, default=None)
    loss: Loss = field(init=False)

    def __post_init__(self) -> None:
        labels = self.loaded.splits["train"].labels
        self.loss = loss_of(self.job.spec.training, self.job.plan, labels)
        steps = self.job.plan.steps
        changing = {group for step in steps for group in step.trainable}
        self._changing = changing | set(self.model.outline.stages[-1].groups)
        self._start = snapshot(self.model, self._changing)
        self._origin = origin_of(self.model, steps)
        self._cuts = self.boundary.cuts
        self._ends: dict[str, Snapshot] = {}

    def settings(self, seed: int) -> Iterator[Setting]:
        """Yield the setting of each step that trains, the network being as it is when the step begins.

        Whoever asks for the next one has trained the network by `train` before.

        Args:
            seed: Draws the head, the order, and dropout: the run's own, or another one.
        """
        job, boundary = self.job, self.boundary
        spec = job.spec.model_copy(update={"seed": seed})
        plan = replace(job.plan, seed=seed)
        self._begin(seed)
        last = max(index for index, step in enumerate(plan.steps) if step.kind == "train")
        # Solved heads and averages behind the last step that trains change nothing here.
        for index, planned in enumerate(plan.steps[: last + 1]):
            step = planned
            if step.begin is not None:
                self._go_back(self._ends[step.begin])
            feed = boundary.feed(index, plan)
            now = replace(job, spec=spec, plan=plan)
            if step.selector is not None:
                plan = self._picked(now, index, feed)
                now, step = replace(now, plan=plan), plan.steps[index]
                feed = boundary.feed(index, plan)
            if step.kind == "train":
                split = self.loaded.splits["train"]
                yield Setting(
                    job=now,
                    step=step,
                    split=split,
                    feed=feed,
                    loss=self.loss,
                    origin=self._origin,
                    teacher=self.teacher,
                    listener=self.listener,
                )
            elif step.kind == "combine":
                self._combine(step)
            else:
                self._solve(now, step, feed)
            self._ends[step.name] = snapshot(self.model, self._changing)

    def train(self, setting: Setting, rate: float, steps: int) -> bool:
        """Train the network in a step for a while; return False if it was left as it was.

        Args:
            setting: Of the step that was yielded last.
            rate: As `training.learning_rate`.
            steps: Of the optimizer.
        """
        contract, step = self.boundary.contract, setting.step
        before = snapshot(self.model, step.trainable)
        frozen = contract.begin(step.frozen)
        optimizer = train_at(self.model, setting, rate, steps, previous=self.optimizer)
        contract.check(frozen, step.name)
        if optimizer is None:
            self._go_back(before)
            return False
        self.optimizer = optimizer
        return True

    def _begin(self, seed: int) -> None:
        """Let the network be as it is at the start of a run with some seed."""
        self.optimizer = None
        self.boundary.cuts = self._cuts
        self._ends.clear()
        self._go_back(self._start)
        head = self.model.head
        assert isinstance(head, LinearHead)
        # On the CPU, as the run draws it.
        drawn = LinearHead(head.linear.in_features, head.linear.out_features, head.dropout.p)
        drawn.reset(torch.Generator().manual_seed(seed))
        own = {f"head.{name}": tensor for name, tensor in drawn.state_dict().items()}
        self._go_back(own)
        self.boundary.features.inference.update()
        # Last of all, as the run does: dropout draws from here on.
        torch.manual_seed(seed)

    def _go_back(self, state: Snapshot) -> None:
        put_back(self.model, state)
        self.boundary.contract.forget(state)
        if self.optimizer is not None:
            self.optimizer.forget()

    def _picked(self, job: Job, index: int, feed: Feed) -> RunPlan:
        """Return the plan with what a step picks, as the run would pick it of this network."""
        step = job.plan.steps[index]
        assert step.selector is not None
        found = pick(
            self.model,
            step,
            self.loaded.splits["train"],
            feed,
            spec=job.spec,
            loss=self.loss,
            device=job.device,
        )
        rest = [group for group in step.trainable if group not in step.selector.among]
        step = with_trainable(step, self.model.outline, [*rest, *found.groups])
        self.model.thaw(step.trainable)
        cut = self.boundary.features.inference.exact_cut(self.model.frozen_stages)
        return self.boundary.resolve(index, step, cut, job.plan)

    def _solve(self, job: Job, step: PlannedStep, feed: Feed) -> None:
        before = self.boundary.contract.begin(step.frozen)
        weights = self.loss.weights
        HeadSolver(self.model, step, job.plan, self.loaded, feed, weights).solve()
        self.boundary.contract.check(before, step.name)
        if self.optimizer is not None:
            self.optimizer.forget(step.trainable)

    def _combine(self, step: PlannedStep) -> None:
        # The run may choose the shares, on images that are none of this test's: equal ones, then.
        states: list[Mapping[str, torch.Tensor]] = [self._ends[name] for name in step.snapshots]
        self._go_back(averaged(states, [1 / len(states)] * len(states)))
