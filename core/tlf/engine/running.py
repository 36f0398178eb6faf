"""A run that is being carried out. Read it from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.data import Loaded, batches_per_epoch, evaluation_batches, load_dataset
from tlf.engine.artifact import write_artifact
from tlf.engine.boundary import Boundary, boundaries
from tlf.engine.checkpoint import Position, save_checkpoint
from tlf.engine.clock import Waiting, process_seconds, timed
from tlf.engine.directory import RunDirectory
from tlf.engine.environment import describe_environment
from tlf.engine.features import Features
from tlf.engine.files import append_json_line
from tlf.engine.freeze import FreezeContract
from tlf.engine.listener import Listener, kept
from tlf.engine.loop import NOT_FINITE_HINT, Trainer
from tlf.engine.memory import memory_explained
from tlf.engine.metrics import Evaluation, measure
from tlf.engine.network import build_network, head_logits, inference_of
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.predictions import prediction_lines
from tlf.engine.prepare import Job
from tlf.engine.probe import largest_step, probe_step
from tlf.engine.remembered import FileMemory, open_cache
from tlf.engine.report import Progress, build_report, describe_step
from tlf.engine.solving import HeadSolver
from tlf.errors import RunError, RunInterrupted
from tlf.registry import Registry
from tlf.spec import RawSpec

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tlf.cache import Cache
    from tlf.data import LoadedSplit
    from tlf.engine.features import Feed
    from tlf.engine.inference import Inference
    from tlf.engine.model import Model
    from tlf.engine.predictor import Prediction
    from tlf.planning import PlannedStep

#: What is said of a run that is stopped before there is a run directory.
STOPPED_EARLY = "stopped before training; nothing was written"

#: How many chunks are fetched together when a split is evaluated.
EVALUATED_CHUNKS = 4


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        directory: Where its files are.
        report: What `report.json` holds.
    """

    directory: Path
    report: Mapping[str, Any]

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metrics of the reported split by name; `accuracy` in [0, 1]."""
        metrics: Mapping[str, float] = self.report["metrics"]
        return metrics

    def predict(self, images: Sequence[Any], *, top: int | None = None) -> list[Prediction]:
        """Classify images with the network of this run; see `tlf.load`.

        Args:
            images: Paths, PIL images, bytes of image files, or uint8 arrays.
            top: How many classes a prediction holds; all by default.
        """
        from tlf.engine.predictor import load

        return load(self.directory).predict(images, top=top)


@dataclass
class Running:
    """A run that is being carried out.

    Attributes:
        job: What to do.
        raw: The spec as it was read.
        registry: The installed plugins.
        directory: Where to write.
        listener: Whom to tell.
        started: When the spec had been parsed and its plugins imported, on the performance counter.
        progress: What was counted and measured so far.
        epochs_done: Epochs that are trained and evaluated.
        last_checkpoint: When the state was saved last, on the performance counter.
        loaded: The images.
        model: The network.
        boundary: What is kept of what is frozen.
        contract: Proves that what is frozen stays so.
        inference: The network in evaluation.
        cuts: Of each step, how many stages lie before the boundary of what is frozen.
    """

    job: Job
    raw: RawSpec
    registry: Registry
    directory: RunDirectory
    listener: Listener
    started: float
    progress: Progress = field(default_factory=Progress)
    epochs_done: int = 0
    last_checkpoint: float = 0.0
    loaded: Loaded = field(init=False)
    model: Model = field(init=False)
    boundary: Boundary = field(init=False)
    contract: FreezeContract = field(init=False)
    inference: Inference = field(init=False)
    cuts: tuple[int, ...] = field(init=False)
    _unwritten: list[str] = field(default_factory=list)

    def carry_out(self) -> Run:
        """Do everything, and leave a word in the log if it fails."""
        try:
            return self.carry_on()
        except KeyboardInterrupt as interrupt:
            raise self.interrupted() from interrupt
        except Exception as error:
            self.log(f"error: {error}" if str(error) else f"error: {type(error).__name__}")
            raise

    def carry_on(self) -> Run:
        """Do everything, in order."""
        self.listener.planned(self.job.plan)
        # The network first: weights that do not fit are found before all images are read.
        with timed(self.progress.seconds, "prepare"):
            self.build()
        cache = open_cache(self.job.spec.cache, self.raw.folder, self.warn)
        with cache or nullcontext():
            with timed(self.progress.seconds, "probe"):
                self.probe(cache)
            self.load(cache)
            self.publish()
            evaluation = self.train()
            return self.finish(evaluation)

    def build(self) -> None:
        """Build the network, and find the boundary of what each step freezes."""
        self.model = build_network(self.job)
        self.contract = FreezeContract(self.model)
        self.inference = inference_of(self.job, self.model)
        self.cuts = boundaries(self.job.plan, self.model, self.inference)

    def probe(self, cache: Cache | None) -> None:
        """Find out now, and not hours into the run, what fits into memory and what is worth keeping."""
        job = self.job
        index = largest_step(job.plan, self.cuts)
        probe_step(job, self.model, self.inference, job.plan.steps[index], self.cuts[index])
        features = Features(
            self.inference, job.transform, job.device, job.spec.training.augmentation_seed
        )
        self.boundary = Boundary(
            job, self.registry, self.model, features, self.contract, cache, self.cuts
        )
        self.job = replace(job, plan=self.boundary.decide())

    def load(self, cache: Cache | None) -> None:
        """Read the images, and compute of them what the steps are going to ask for."""
        work = self.boundary.features.work
        filling = self.boundary.filling(self.job.plan)
        memory = None if cache is None else FileMemory(cache)
        started = time.perf_counter()
        self.loaded = load_dataset(
            self.job.dataset,
            self.job.transform,
            unreadable=self.job.spec.data.unreadable,
            workers=self.job.spec.training.workers,
            use=filling,
            digests=memory,
            decoded=self.boundary.images,
            progress=self.listener.loading,
        )
        filling.finish()
        if memory is not None:
            memory.flush()
        self.progress.seconds["data"] += time.perf_counter() - started - work.prefix_seconds
        self.progress.images_through_backbone += work.rows_computed
        for note in self.job.dataset.notes:
            self.warn(note)
        for item in self.loaded.skipped:
            self.warn(f"left out `{item.id}` of {item.split}: {item.reason}")
        if self.loaded.skipped:
            self.replan()

    def replan(self) -> None:
        """Plan with the images that are left."""
        plan = self.job.plan
        counts = {name: len(split) for name, split in self.loaded.splits.items()}
        batches = batches_per_epoch(counts["train"], self.job.spec.training.batch_size)
        plan = replace(plan, batches_per_epoch=batches, data={**plan.data, "images": counts})
        self.job = replace(self.job, plan=plan)
        self.listener.replanned(plan)

    def publish(self) -> None:
        """Let the run directory appear, with all that is known before training."""
        self.directory.write_text("spec.json", self.raw.text)
        self.directory.write_json("plan.json", self.job.plan.as_json())
        self.directory.write_json(
            "environment.json", describe_environment(self.job, self.loaded, self.registry)
        )
        self.directory.write_json(
            "splits.json",
            {name: [item.id for item in split.items] for name, split in self.loaded.splits.items()},
        )
        self.listener.directory(self.directory.publish())
        self.last_checkpoint = time.perf_counter()

    def train(self) -> Evaluation:
        """Carry out every step, and return what is reported."""
        torch.manual_seed(self.job.spec.seed)
        optimizer: StepOptimizer | None = None
        evaluation: Evaluation | None = None
        for index, step in enumerate(self.job.plan.steps):
            feed = self.boundary.feed(index, self.job.plan)
            self.listener.step_started(step)
            self.log(f"step {step.name}: {step.trainable_parameters} parameters learn")
            if step.kind == "train":
                optimizer, evaluation = self.train_step(index, step, feed, optimizer)
            else:
                evaluation = self.solve_step(step, feed)
        if self.job.plan.metrics_on != "validation" or evaluation is None:
            evaluation = self.evaluate(self.job.plan.metrics_on, feed)
        return evaluation

    def train_step(
        self, index: int, step: PlannedStep, feed: Feed, previous: StepOptimizer | None
    ) -> tuple[StepOptimizer, Evaluation]:
        """Train the epochs of one step, and prove that what was frozen stayed so."""
        started = time.perf_counter()
        work = replace(feed.features.work)
        before = self.contract.begin(step.frozen)
        self.model.thaw(step.trainable)
        precision = self.job.device.precision
        optimizer = StepOptimizer(self.model, step, self.job.spec.training, precision, previous)
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
        )
        for epoch in range(step.first_epoch, step.first_epoch + step.epochs):
            evaluation, metrics = self.train_epoch(trainer, epoch)
            self.checkpoint(optimizer, index, epoch + 1, last=epoch + 1 == self.job.plan.epochs)
        self.contract.check(before, step.name)
        self.progress.steps.append(
            describe_step(
                step,
                seconds=time.perf_counter() - started,
                work=feed.features.work.since(work),
                accuracy=metrics.get("accuracy"),
            )
        )
        return optimizer, evaluation

    def solve_step(self, step: PlannedStep, feed: Feed) -> Evaluation:
        """Solve for the head, and prove that everything else stayed as it was."""
        started = time.perf_counter()
        seconds = self.progress.seconds
        work = replace(feed.features.work)
        before = self.contract.begin(step.frozen)
        with self.counted(feed, 0):
            solved = HeadSolver(self.model, step, self.job.plan, self.loaded, feed).solve()
        did = feed.features.work.since(work)
        seconds["train"] += time.perf_counter() - started - did.prefix_seconds
        evaluation = self.evaluate("validation", feed)
        metrics = measure(evaluation, self.job.spec.evaluation.metrics)
        record = {
            "epoch": self.epochs_done,
            "step": step.name,
            "solved": solved,
            "validation": metrics,
        }
        append_json_line(self.directory.path / "metrics.jsonl", record)
        self.log(f"step {step.name}: {solved['method']} with {solved['chosen']}, {metrics}")
        self.contract.check(before, step.name)
        self.listener.step_solved(record)
        described = describe_step(
            step,
            seconds=time.perf_counter() - started,
            work=feed.features.work.since(work),
            accuracy=metrics.get("accuracy"),
        )
        self.progress.steps.append({**described, "solved": solved})
        return evaluation

    def train_epoch(self, trainer: Trainer, epoch: int) -> tuple[Evaluation, dict[str, float]]:
        """Train one epoch, evaluate it, and write its lines."""
        count = self.counted(trainer.feed, len(trainer.split))
        with self.memory_explained(trainer.step.name), count:
            trained = trainer.train_epoch(epoch)
        seconds = self.progress.seconds
        seconds["train"] += trained.seconds
        seconds["data"] += trained.waited
        evaluation = self.evaluate("validation", trainer.feed)
        metrics = measure(evaluation, self.job.spec.evaluation.metrics)
        record = {
            "epoch": epoch + 1,
            "step": trainer.step.name,
            "train": {"loss": trained.loss},
            "validation": metrics,
        }
        append_json_line(self.directory.path / "metrics.jsonl", record)
        whole = trained.seconds + trained.waited + trained.prefix
        append_json_line(
            self.directory.path / "timings.jsonl",
            {
                "epoch": epoch + 1,
                "train_seconds": trained.seconds,
                "data_seconds": trained.waited,
                "prefix_seconds": trained.prefix,
                "images_per_second": trained.images / whole,
            },
        )
        self.epochs_done = epoch + 1
        self.log(f"epoch {epoch + 1}: training loss {trained.loss:.4f}, validation {metrics}")
        self.listener.epoch_finished(record)
        return evaluation, metrics

    @torch.no_grad()
    def evaluate(self, split_name: str, feed: Feed) -> Evaluation:
        """Return what the network says about a split."""
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
                features = inference.run(feed.crossing(fetched), feed.cut, inference.stages)
                logits.append(head_logits(self.model.head, features).cpu())
        seconds = self.progress.seconds
        seconds["data"] += batches.seconds
        prefix = work.prefix_seconds - prefix_before
        seconds["evaluate"] += time.perf_counter() - started - batches.seconds - prefix
        return self.checked(Evaluation(torch.cat(logits), split.labels), split)

    def checked(self, evaluation: Evaluation, split: LoadedSplit) -> Evaluation:
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
        """Say which batch size to use if the block runs out of memory."""
        return memory_explained(
            f"step `{step}`",
            device=str(self.job.device.torch_device),
            batch_size=self.job.spec.training.batch_size,
        )

    def checkpoint(self, optimizer: StepOptimizer, step: int, epoch: int, *, last: bool) -> None:
        """Save the state if the last one is old, but not at the very end: the artifact is next."""
        waited = time.perf_counter() - self.last_checkpoint
        if last or waited < self.job.spec.checkpoint.every_seconds:
            return
        position = Position(step, epoch, epoch * self.job.plan.batches_per_epoch)
        save_checkpoint(self.directory.path / "checkpoints", self.model, optimizer, position)
        self.last_checkpoint = time.perf_counter()

    def finish(self, evaluation: Evaluation) -> Run:
        """Write predictions, the artifact and, last of all, the report."""
        metrics = measure(evaluation, self.job.spec.evaluation.metrics)
        items = self.loaded.splits[self.job.plan.metrics_on].items
        lines = prediction_lines(evaluation, items, self.job.plan.classes)
        self.directory.write_json_lines("predictions.jsonl", lines)
        write_artifact(self.directory.path, self.model, self.job)
        self.progress.images_decoded = self.loaded.images_decoded
        work = self.boundary.features.work
        self.progress.seconds["prefix"] = work.prefix_seconds
        self.progress.seconds["contract"] = self.contract.seconds
        report = build_report(self.job, self.loaded, self.progress, metrics, work)
        report["timings"]["total_seconds"] = time.perf_counter() - self.started
        report["timings"]["process_seconds"] = process_seconds()
        self.directory.write_json("report.json", report)
        self.log(f"done: {metrics}")
        return Run(self.directory.path, report)

    def warn(self, message: str) -> None:
        """Tell of something that the user should know, and note it."""
        self.listener.warning(message)
        self.log(f"warning: {message}")

    def log(self, line: str) -> None:
        """Add a line to `log.txt`, or keep it until there is a run directory."""
        self._unwritten.append(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        if self.directory.published:
            with (self.directory.path / "log.txt").open("a", encoding="utf-8") as file:
                file.writelines(self._unwritten)
            self._unwritten.clear()

    def interrupted(self) -> RunInterrupted:
        """Say what a stopped run leaves behind."""
        if not self.directory.published:
            return RunInterrupted(STOPPED_EARLY)
        self.log("stopped by the user")
        return RunInterrupted(
            f"stopped after {self.epochs_done} of {self.job.plan.epochs} epochs",
            hint=kept(self.directory.path),
        )
