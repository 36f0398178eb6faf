"""Carries out the steps of a plan, whatever strategy they come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from tlf.data import evaluation_batches
from tlf.engine.checkpoint import State, save_checkpoint
from tlf.engine.choosing import Best, Score, Watch
from tlf.engine.clock import Waiting
from tlf.engine.combining import choose_shares
from tlf.engine.diagnosis import NOT_FINITE_HINT
from tlf.engine.features import Feed
from tlf.engine.files import append_json_line
from tlf.engine.finishing import merge
from tlf.engine.loop import EpochSoFar, Trainer
from tlf.engine.losses import loss_of
from tlf.engine.memory import memory_explained
from tlf.engine.metrics import Evaluation, measure
from tlf.engine.network import head_logits
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.picking import pick
from tlf.engine.report import Progress, describe_step
from tlf.engine.saving import Underway, first_epoch_of, gone_on, state_of, take_over, watch_of
from tlf.engine.snapshots import Snapshot, averaged, origin_of, put_back, snapshot
from tlf.engine.solving import HeadSolver
from tlf.engine.stopping import stopped
from tlf.errors import RunError, RunInterrupted
from tlf.planning import with_trainable
from tlf.plugin import EpochFinished, StepFinished, StepStarted

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tlf.data import Loaded, LoadedSplit
    from tlf.engine.boundary import Boundary
    from tlf.engine.features import Work
    from tlf.engine.freeze import FreezeContract
    from tlf.engine.inference import Inference
    from tlf.engine.listener import Listener
    from tlf.engine.losses import Loss
    from tlf.engine.model import Model
    from tlf.engine.observing import Observers
    from tlf.engine.prepare import Job
    from tlf.engine.teacher import Teacher
    from tlf.planning import PlannedStep

#: How many chunks are fetched together when a split is evaluated.
EVALUATED_CHUNKS = 4


@dataclass
class Stepper:
    """Carries out the steps of a run.

    Attributes:
        job: What to do. Its plan names what a step has picked once it has begun.
        loaded: The images.
        model: The network.
        inference: The network in evaluation.
        boundary: What is kept of what is frozen.
        contract: Proves that what is frozen stays so.
        folder: The run directory.
        listener: Whom to tell.
        observers: Whom to tell too, who are plugins.
        progress: What was counted and measured so far.
        log: Adds a line to the run's log.
        teacher: Whom the network learns from besides; None if there is nobody.
        last_checkpoint: When the state was saved last, on the performance counter.
        left_over: Epochs that a step has left to the one after it.
        snapshots: Weights at the end of the steps that later ones go back to.
        origin: What the steps that pull draw the network to.
        picked: Of each step that has picked what it trains, by index: its groups, and what the report
            holds of that.
        underway: The step that trains, while its state can be saved.
        best: The best weights at the end of any step so far, if the run is to end with these.
        loss: What a batch costs.
    """

    job: Job
    loaded: Loaded
    model: Model
    inference: Inference
    boundary: Boundary
    contract: FreezeContract
    folder: Path
    listener: Listener
    observers: Observers
    progress: Progress
    log: Callable[[str], None]
    teacher: Teacher | None = None
    last_checkpoint: float = field(default_factory=time.perf_counter)
    left_over: int = 0
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    origin: Snapshot = field(default_factory=dict)
    picked: dict[int, dict[str, Any]] = field(default_factory=dict)
    underway: Underway | None = None
    best: Best | None = None
    loss: Loss = field(init=False)

    def __post_init__(self) -> None:
        labels = self.loaded.splits["train"].labels
        self.loss = loss_of(self.job.spec.training, self.job.plan, labels)

    def carry_out(self, saved: State | None = None) -> Evaluation:
        """Carry out every step, and return what is reported.

        Args:
            saved: Where to go on; None for the start.

        Raises:
            RunInterrupted: The listener asks the run to stop. The state of a step that trains is saved.
        """
        try:
            return self.carry_out_steps(saved)
        except RunInterrupted:
            self.save()
            raise

    def carry_out_steps(self, saved: State | None) -> Evaluation:
        """Carry out every step, and return what is reported.

        Args:
            saved: Where to go on; None for the start.
        """
        torch.manual_seed(self.job.spec.seed)
        plan = self.job.plan
        changing = {group for step in plan.steps for group in step.trainable}
        kept = {step.begin for step in plan.steps} | {n for s in plan.steps for n in s.snapshots}
        self.origin = origin_of(self.model, plan.steps)
        keeps_best = plan.keeps_best
        first = 0
        if saved is not None:
            first = saved.position.step
            take_over(self, saved)
            where = f"epoch {saved.position.epoch + 1}, batch {saved.position.batch + 1}"
            self.say(f"goes on in step {plan.steps[first].name} at {where}")
        optimizer: StepOptimizer | None = None
        evaluation: Evaluation | None = None
        for index, planned in enumerate(plan.steps[first:], first):
            if planned.begin is not None and saved is None:
                self.go_back(self.snapshots[planned.begin], optimizer)
            step = self.resolved(index)
            feed = self.boundary.feed(index, self.job.plan)
            self.listener.step_started(step)
            self.observers.tell(StepStarted(index, asdict(step)))
            self.log(f"step {step.name}: {step.trainable_parameters} parameters learn")
            optimizer, evaluation = self.carry_out_step(index, step, feed, optimizer, saved)
            saved = None
            if step.name in kept:
                self.snapshots[step.name] = snapshot(self.model, changing)
            if keeps_best:
                self.look_for_best(step, feed, evaluation, changing)
        if self.best is not None:
            self.progress.kept = self.best.as_json()
            if self.best.step != step.name:
                feed, evaluation = self.end_with_best(self.best), None
        return self.reported(feed, evaluation)

    def reported(self, feed: Feed, evaluation: Evaluation | None) -> Evaluation:
        """Return what is reported of the network that all steps have come to.

        Args:
            feed: Makes what goes into the part that learned last.
            evaluation: What the network says about the validation images, if that is known.
        """
        plan = self.job.plan
        if self.job.adapted is not None:
            feed, evaluation = merge(self, self.job.adapted), None
        if plan.metrics_on != "validation" or evaluation is None:
            evaluation = self.evaluate(plan.metrics_on, feed)
        if plan.task == "multi-label" and plan.selection_on is not None:
            chosen = self.evaluate(plan.selection_on, feed)
            evaluation = evaluation.with_thresholds(chosen, plan.selection_on)
        return evaluation

    def carry_out_step(
        self,
        index: int,
        step: PlannedStep,
        feed: Feed,
        optimizer: StepOptimizer | None,
        saved: State | None,
    ) -> tuple[StepOptimizer | None, Evaluation]:
        """Carry out a step, and return the last optimizer that there is, and what it came to.

        Args:
            index: Of the step.
            step: The step.
            feed: Makes what goes into the part that learns.
            optimizer: Of the last step that trained.
            saved: Where in the step to go on; None for its start.
        """
        if step.kind == "train":
            return self.train(index, step, feed, optimizer, saved)
        if step.solves:
            evaluation = self.solve(step, feed)
            # Neighbours take the head's place: there is nothing left to forget.
            if optimizer is not None and step.kind == "lbfgs":
                optimizer.forget(step.trainable)
            return optimizer, evaluation
        return optimizer, self.combine(step, feed, optimizer)

    def look_for_best(
        self, step: PlannedStep, feed: Feed, validation: Evaluation, changing: set[str]
    ) -> None:
        """Keep the weights that a step has ended with if none before were better.

        Args:
            step: The step.
            feed: Makes what goes into the part that learned.
            validation: What the network says about the validation images.
            changing: Groups that any step changes.
        """
        score = self.score(feed, validation)
        if self.best is None or score > self.best.score:
            state = snapshot(self.model, changing)
            self.best = Best(score, step.name, self.progress.epochs_done, state)

    def end_with_best(self, best: Best) -> Feed:
        """Put the best weights back that the run has come to, and return what feeds the network then.

        Args:
            best: Those weights.
        """
        self.go_back(best.state, None)
        self.inference.update()
        # What was frozen in the last step may be another now: the whole network is gone through.
        self.boundary.features.entries = {}
        self.say(
            f"ends with the weights of step {best.step}: "
            f"{_said(best.score)} the images to choose on"
        )
        return Feed(self.boundary.features, 0, 0)

    def go_back(self, state: Snapshot, optimizer: StepOptimizer | None) -> None:
        """Write weights into the network that it had at another time.

        Args:
            state: The weights.
            optimizer: Knows the weights that are there; None if there is none.
        """
        put_back(self.model, state)
        self.contract.forget(state)
        if optimizer is not None:
            optimizer.forget()

    def resolved(self, index: int) -> PlannedStep:
        """Return a step with what it picks picked.

        Args:
            index: Of the step.
        """
        step = self.job.plan.steps[index]
        if step.selector is None:
            return step
        feed = self.boundary.feed(index, self.job.plan)
        picked = pick(
            self.model,
            step,
            self.loaded.splits["train"],
            feed,
            spec=self.job.spec,
            loss=self.loss,
            device=self.job.device,
        )
        self.progress.images_through_backbone += picked.images
        rest = [group for group in step.trainable if group not in step.selector.among]
        groups = [*rest, *picked.groups]
        self.take_pick(index, {"groups": groups, "report": picked.as_json()})
        self.say(f"step {step.name} trains {', '.join(picked.stages)} ({picked.by})")
        return self.job.plan.steps[index]

    def take_pick(self, index: int, picked: dict[str, Any]) -> None:
        """Write into the plan what a step has picked.

        Args:
            index: Of the step.
            picked: The groups that it trains, and what the report holds of that.
        """
        self.picked[index] = picked
        plan = self.job.plan
        step = with_trainable(plan.steps[index], self.model.outline, picked["groups"])
        self.model.thaw(step.trainable)
        cut = self.inference.exact_cut(self.model.frozen_stages)
        self.job = replace(self.job, plan=self.boundary.resolve(index, step, cut, plan))

    def train(
        self,
        index: int,
        step: PlannedStep,
        feed: Feed,
        previous: StepOptimizer | None,
        saved: State | None,
    ) -> tuple[StepOptimizer, Evaluation]:
        """Train the epochs of one step, and prove that what was frozen stayed so.

        Args:
            index: Of the step.
            step: The step.
            feed: Makes what goes into the part that learns.
            previous: The optimizer of the step before.
            saved: Where in the step to go on; None for its start.
        """
        now = self.underway = self.begin(index, step, feed, previous, saved)
        step, watch, optimizer = now.step, now.watch, now.trainer.optimizer
        last = step.first_epoch + step.epochs
        evaluation: Evaluation | None = None
        self.rest()
        while self.progress.epochs_done < last and not (watch is not None and watch.over):
            evaluation, metrics = self.train_epoch(now.trainer, self.progress.epochs_done, watch)
            self.rest()
        self.underway = None
        self.left_over = last - self.progress.epochs_done
        chosen = {}
        if watch is not None and watch.went_past:
            assert watch.state is not None
            self.go_back(watch.state, optimizer)
            evaluation = None
        elif now.trainer.average is not None:
            now.trainer.average.settle()
        if watch is not None:
            chosen = {"selection": watch.as_json()}
            self.say(_told(step, watch, self.progress.epochs_done - step.first_epoch))
        if evaluation is None:
            evaluation, metrics = self.validate(feed)
        self.contract.check(now.frozen, step.name)
        taken = replace(step, epochs=step.epochs - self.left_over)
        if index in self.picked:
            chosen["picked"] = self.picked[index]["report"]
        self.finish(taken, now.started, feed.features.work.since(now.work), metrics, **chosen)
        return optimizer, evaluation

    def begin(
        self,
        index: int,
        step: PlannedStep,
        feed: Feed,
        previous: StepOptimizer | None,
        saved: State | None,
    ) -> Underway:
        """Get everything ready for a step that trains.

        Args:
            index: Of the step.
            step: The step.
            feed: Makes what goes into the part that learns.
            previous: The optimizer of the step before.
            saved: Where in the step to go on; None for its start.
        """
        started, work = time.perf_counter(), replace(feed.features.work)
        first = self.progress.epochs_done if saved is None else first_epoch_of(saved)
        step = replace(step, first_epoch=first, epochs=step.epochs + self.left_over)
        frozen = self.contract.begin(step.frozen)
        watch = self.watch(step, feed, saved)
        self.model.thaw(step.trainable)
        precision, training = self.job.device.precision, self.job.spec.training
        optimizer = StepOptimizer(self.model, step, training, precision, previous, self.origin)
        trainer = Trainer(
            model=self.model,
            optimizer=optimizer,
            step=step,
            spec=self.job.spec,
            plan=self.job.plan,
            split=self.loaded.splits["train"],
            feed=feed,
            device=self.job.device,
            listener=self.listener,
            loss=self.loss,
            teacher=self.teacher,
            rest=self.rest,
        )
        now = Underway(index, step, trainer, watch, frozen, started, work)
        return now if saved is None else gone_on(now, saved)

    def watch(self, step: PlannedStep, feed: Feed, saved: State | None) -> Watch | None:
        """Return what follows the epochs of a step on the images to choose on, if anything does.

        Args:
            step: The step, about to begin.
            feed: Makes what goes into the part that learns.
            saved: Where in the step to go on; None for its start.
        """
        if not step.watched:
            return None

        def take() -> Snapshot:
            return snapshot(self.model, step.trainable)

        if saved is None:
            return Watch(take, step.patience, step.undo, before=self.score(feed))
        return watch_of(saved, step, take)

    def train_epoch(
        self, trainer: Trainer, epoch: int, watch: Watch | None
    ) -> tuple[Evaluation, dict[str, float]]:
        """Train one epoch, evaluate it, and write its lines.

        Args:
            trainer: Trains.
            epoch: Index of the epoch in the whole run.
            watch: Hears how good it is.
        """
        count = self.counted(trainer.feed, len(trainer.split))
        with self.memory_explained(trainer.step.name), count:
            trained = trainer.train_epoch(epoch)
        seconds = self.progress.seconds
        seconds["train"] += trained.seconds
        seconds["data"] += trained.waited
        with nullcontext() if trainer.average is None else trainer.average.in_place():
            evaluation, metrics = self.validate(trainer.feed)
            if watch is not None:
                score = self.score(trainer.feed, evaluation)
                watch.look(score, epoch + 1)
        record: dict[str, Any] = {
            "epoch": epoch + 1,
            "step": trainer.step.name,
            "train": {"loss": trained.loss},
            "validation": metrics,
        }
        if watch is not None:
            record["selection"] = score.as_json()
        self.write_line("metrics.jsonl", record)
        whole = trained.seconds + trained.waited + trained.prefix
        timings = {
            "train_seconds": trained.seconds,
            "data_seconds": trained.waited,
            "prefix_seconds": trained.prefix,
            "images_per_second": trained.images / whole,
        }
        self.write_line("timings.jsonl", {"epoch": epoch + 1, **timings})
        self.progress.epochs_done = epoch + 1
        trainer.so_far = EpochSoFar()
        self.log(f"epoch {epoch + 1}: training loss {trained.loss:.4f}, validation {metrics}")
        self.listener.epoch_finished(record)
        self.observers.tell(
            EpochFinished(
                epoch=epoch + 1,
                step=trainer.step.name,
                train=record["train"],
                validation=metrics,
                selection=record.get("selection"),
                timings=timings,
            )
        )
        return evaluation, metrics

    def validate(self, feed: Feed) -> tuple[Evaluation, dict[str, float]]:
        """Return what the network says about the validation images, and its metrics.

        Args:
            feed: Makes what goes into the part that learns.
        """
        evaluation = self.evaluate("validation", feed)
        return evaluation, measure(evaluation, self.job.spec.evaluation.metrics)

    def score(self, feed: Feed, validation: Evaluation | None = None) -> Score:
        """Return how good the network is on the images to choose on.

        Args:
            feed: Makes what goes into the part that learns.
            validation: What it says about the validation images, if that is known.
        """
        split = self.job.plan.selection_on
        assert split is not None
        known = validation if split == "validation" else None
        return Score.of(known or self.evaluate(split, feed))

    def solve(self, step: PlannedStep, feed: Feed) -> Evaluation:
        """Solve for the head, and prove that everything else stayed as it was.

        Args:
            step: The step.
            feed: Makes the features.
        """
        started, work = time.perf_counter(), replace(feed.features.work)
        before = self.contract.begin(step.frozen)
        with self.counted(feed, 0):
            solver = HeadSolver(
                self.model, step, self.job.plan, self.loaded, feed, self.loss.weights
            )
            solved = solver.solve()
        did = feed.features.work.since(work)
        seconds = time.perf_counter() - started - did.prefix_seconds
        self.progress.seconds["train"] += seconds
        evaluation, metrics = self.settled(step, feed, solved=solved)
        self.log(f"step {step.name}: {solved['method']} with {solved['chosen']}, {metrics}")
        self.contract.check(before, step.name)
        self.finish(step, started, feed.features.work.since(work), metrics, solved=solved)
        return evaluation

    def combine(self, step: PlannedStep, feed: Feed, optimizer: StepOptimizer | None) -> Evaluation:
        """Average the weights of earlier steps, and prove that everything else stayed as it was.

        Args:
            step: The step.
            feed: Makes what goes into the part that differs.
            optimizer: Of the last step that trained.
        """
        started, work = time.perf_counter(), replace(feed.features.work)
        before = self.contract.begin(step.frozen)
        states = [self.snapshots[name] for name in step.snapshots]

        def score(shares: Sequence[float]) -> Score:
            self.go_back(averaged(states, shares), None)
            return self.score(feed)

        shares, tried = choose_shares(step, score)
        chosen_on = self.job.plan.selection_on if tried["tried"] else None
        combined = {**tried, "chosen_on": chosen_on}
        self.go_back(averaged(states, shares), optimizer)
        evaluation, metrics = self.settled(step, feed, combined=combined)
        self.log(f"step {step.name}: shares {shares} of {step.snapshots}, {metrics}")
        self.contract.check(before, step.name)
        self.finish(step, started, feed.features.work.since(work), metrics, combined=combined)
        return evaluation

    def settled(
        self, step: PlannedStep, feed: Feed, **what: dict[str, Any]
    ) -> tuple[Evaluation, dict[str, float]]:
        """Evaluate what a step without epochs came to, and write its line.

        Args:
            step: The step.
            feed: Makes what goes into the part that differs.
            what: What was chosen, under its name.
        """
        evaluation, metrics = self.validate(feed)
        record = {
            "epoch": self.progress.epochs_done,
            "step": step.name,
            **what,
            "validation": metrics,
        }
        self.write_line("metrics.jsonl", record)
        self.listener.step_settled(record)
        return evaluation, metrics

    def finish(
        self,
        step: PlannedStep,
        started: float,
        work: Work,
        metrics: dict[str, float],
        **more: dict[str, Any],
    ) -> None:
        """Note what a step came to.

        Args:
            step: The step, with the epochs that it took.
            started: When it began, on the performance counter.
            work: What its frozen part took.
            metrics: Of the validation images.
            more: What else the report holds of it.
        """
        described = describe_step(
            step,
            seconds=time.perf_counter() - started,
            work=work,
            metrics=metrics,
        )
        self.progress.steps.append({**described, **more})
        index = len(self.progress.steps) - 1
        self.observers.tell(StepFinished(index, self.progress.steps[index], metrics))

    @torch.no_grad()
    def evaluate(self, split_name: str, feed: Feed) -> Evaluation:
        """Return what the network says about a split.

        Args:
            split_name: Which.
            feed: Makes what goes into the part that learns.
        """
        split = self.loaded.splits[split_name]
        inference, work = self.inference, feed.features.work
        started, prefix_before = time.perf_counter(), work.prefix_seconds
        self.model.head.eval()
        inference.update(feed.cut)
        batches = Waiting(
            evaluation_batches(split, feed.fetch, EVALUATED_CHUNKS * inference.chunk_size)
        )
        logits = []
        with self.counted(feed, len(split)):
            for fetched in batches:
                self.leave_if_asked()
                features = inference.run(feed.crossing(fetched), feed.cut, inference.stages)
                logits.append(head_logits(self.model.head, features).cpu())
        seconds = self.progress.seconds
        seconds["data"] += batches.seconds
        prefix = work.prefix_seconds - prefix_before
        seconds["evaluate"] += time.perf_counter() - started - batches.seconds - prefix
        return _checked(Evaluation(torch.cat(logits), split.labels), split)

    @contextmanager
    def counted(self, feed: Feed, images: int) -> Iterator[None]:
        """Count the images that go through the backbone, or a part of it, in the block.

        Args:
            feed: Makes the inputs.
            images: How many go through what lies behind the boundary, if anything does.
        """
        work = feed.features.work
        before = work.rows_computed
        yield
        live = feed.cut < self.inference.stages
        self.progress.images_through_backbone += images if live else work.rows_computed - before

    def memory_explained(self, step: str) -> AbstractContextManager[None]:
        """Say which batch size to use if the block runs out of memory.

        Args:
            step: Name of the step.
        """
        return memory_explained(
            f"step `{step}`",
            device=str(self.job.device.torch_device),
            batch_size=self.job.spec.training.batch_size,
        )

    def rest(self) -> None:
        """Between two batches: leave if the run is asked to, save its state if the last is old.

        Raises:
            RunInterrupted: The listener asks the run to stop.
        """
        self.leave_if_asked()
        waited = time.perf_counter() - self.last_checkpoint
        if waited >= self.job.spec.checkpoint.every_seconds:
            self.save()

    def leave_if_asked(self) -> None:
        """Raise RunInterrupted if the listener asks the run to stop. Nothing is half done here."""
        kind = self.listener.asked_to_stop()
        if kind is not None:
            raise stopped(kind, self.progress, self.job.plan, self.folder)

    def save(self) -> None:
        """Save the state of the run, if it is where it can be saved."""
        if self.underway is not None:
            path = save_checkpoint(self.folder, state_of(self, self.underway))
            self.last_checkpoint = time.perf_counter()
            self.listener.checkpoint_saved(path)

    def write_line(self, name: str, record: dict[str, Any]) -> None:
        """Add a record to a file of the run directory.

        Args:
            name: Of the file.
            record: What to add.
        """
        append_json_line(self.folder / name, record)

    def say(self, message: str) -> None:
        """Tell of something that the run has chosen, and note it.

        Args:
            message: A line.
        """
        self.listener.chosen(message)
        self.log(message)


def _checked(evaluation: Evaluation, split: LoadedSplit) -> Evaluation:
    """Return an evaluation, unless it holds what is no number."""
    finite = evaluation.logits.isfinite().all(dim=1)
    if not finite.all():
        first = split.items[int(finite.logical_not().nonzero()[0])]
        raise RunError(
            f"the network gives no finite numbers for {int(finite.logical_not().sum())} of "
            f"{len(split)} {split.name} images, such as `{first.id}`",
            hint=NOT_FINITE_HINT,
        )
    return evaluation


def _told(step: PlannedStep, watch: Watch, taken: int) -> str:
    """Say how a step that was followed has ended."""
    end = f" after {taken} of {step.epochs} epochs" if taken < step.epochs else ""
    if watch.epoch is None:
        return f"step {step.name} is undone{end}: no gain on the images to choose on"
    return (
        f"step {step.name} ends{end} with the weights of epoch {watch.epoch}: "
        f"{_said(watch.best)} the images to choose on, {watch.before.value:.1%} before"
    )


def _said(score: Score) -> str:
    """Say how good weights are, up to what that is measured on."""
    if score.metric == "accuracy":
        return f"{score.value:.1%} of"
    return f"a {score.metric.replace('-', ' ')} of {score.value:.1%} on"
