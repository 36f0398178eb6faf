"""A run, from a spec to a directory of results. Read it from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.data import Loaded, batches_per_epoch, evaluation_batches, load_dataset
from tlf.engine.artifact import write_artifact
from tlf.engine.checkpoint import Position, save_checkpoint
from tlf.engine.clock import process_seconds, timed
from tlf.engine.directory import RunDirectory
from tlf.engine.environment import describe_environment
from tlf.engine.files import append_json_line
from tlf.engine.freeze import check_frozen, frozen_digests
from tlf.engine.generators import forked_generators
from tlf.engine.listener import Listener, kept
from tlf.engine.loop import NOT_FINITE_HINT, Trainer
from tlf.engine.memory import memory_explained
from tlf.engine.metrics import Evaluation, measure
from tlf.engine.network import build_network, chunk_size_of, evaluate_batches
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.parts import parts_of
from tlf.engine.predictions import prediction_lines
from tlf.engine.prepare import Job, prepare
from tlf.engine.probe import Measurement, largest_step, probe_step, probe_steps
from tlf.engine.report import Progress, build_report
from tlf.errors import RunError, RunInterrupted
from tlf.registry import Registry, check, load_registry
from tlf.spec import RawSpec, load_raw
from tlf.spec.paths import resolve_path

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tlf.engine.model import Model
    from tlf.engine.predictor import Prediction
    from tlf.planning import PlannedStep, RunPlan
    from tlf.spec import RunSpec

#: Decoded images are kept in memory up to this much, so that a photograph is decoded once in a run.
DECODED_BYTES = 2 * 2**30

#: What is said of a run that is stopped before there is a run directory.
STOPPED_EARLY = "stopped before training; nothing was written"


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


def run(
    spec: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    output_directory: str | Path | None = None,
    listener: Listener | None = None,
) -> Run:
    """Fit a network as a spec says.

    Args:
        spec: A JSON file, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`.
        output_directory: The run directory, which must not exist; by default a new one in the spec's
            `output`.
        listener: Hears about the run while it goes.

    Raises:
        TlfError: The spec, a plugin, the data or a file cannot be used, or the run failed.
    """
    raw = load_raw(spec, overrides)
    return run_raw(raw, output_directory=output_directory, listener=listener)


def plan(spec: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = ()) -> RunPlan:
    """Return what `run` would do. Downloads, decodes and trains nothing.

    Args:
        spec: A JSON file, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`.

    Raises:
        TlfError: The spec, a plugin, or the data cannot be used.
    """
    return plan_and_probe(spec, overrides=overrides)[0]


def plan_and_probe(
    spec: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = (), probe: bool = False
) -> tuple[RunPlan, tuple[Measurement, ...]]:
    """Return what `run` would do, and what the probe measures of each step.

    Args:
        spec: A JSON file, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`.
        probe: Whether to measure. Random weights are used: time and memory do not depend on them.

    Raises:
        TlfError: The spec, a plugin, or the data cannot be used, or a step does not fit into memory.
    """
    raw = load_raw(spec, overrides)
    registry = load_registry()
    job = prepare(check(raw, registry), raw.folder, registry)
    return job.plan, probe_steps(replace(job, weights="none")) if probe else ()


def run_raw(
    raw: RawSpec,
    *,
    output_directory: str | Path | None = None,
    listener: Listener | None = None,
    images: Images | None = None,
) -> Run:
    """Carry out a spec that has been read.

    Args:
        raw: The spec.
        output_directory: The run directory, which must not exist.
        listener: Hears about the run.
        images: The images, if a comparison has read them already.

    Raises:
        TlfError: See `run`.
    """
    registry = load_registry()
    spec = check(raw, registry)
    import_parts(spec, registry)
    started = time.perf_counter()
    listener = listener or Listener()
    output = resolve_path(raw.folder, spec.output, "output")
    try:
        job = prepare(spec, raw.folder, registry)
        with RunDirectory(output, spec.name, output_directory) as directory:
            running = Running(job, raw, registry, directory, listener, started)
            with forked_generators(job.device.torch_device):
                return running.carry_out(images)
    except KeyboardInterrupt as interrupt:
        raise RunInterrupted(STOPPED_EARLY) from interrupt


def import_parts(spec: RunSpec, registry: Registry) -> None:
    """Import the code of every part that a spec names: what a run takes begins after that.

    Args:
        spec: A valid spec.
        registry: The installed plugins.
    """
    for kind, name in parts_of(spec):
        registry.get(kind, name).target()


@dataclass(frozen=True)
class Images:
    """The images of a run, read and decoded.

    Attributes:
        loaded: The images.
        seconds: How long it took to read them.
        decoded: How many images were decoded.
    """

    loaded: Loaded
    seconds: float
    decoded: int


def read_images(job: Job, listener: Listener) -> Images:
    """Read and decode every image once, and apply the policy for unreadable ones.

    Args:
        job: The planned run.
        listener: Hears how far it is.

    Raises:
        DataError: Images cannot be read, or too few can.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "data"):
        loaded = load_dataset(
            job.dataset,
            job.transform,
            unreadable=job.spec.data.unreadable,
            workers=job.spec.training.workers,
            memory_bytes=DECODED_BYTES,
            progress=listener.loading,
        )
    return Images(loaded, seconds["data"], loaded.images_decoded)


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
    _unwritten: list[str] = field(default_factory=list)

    def carry_out(self, images: Images | None) -> Run:
        """Do everything, and leave a word in the log if it fails."""
        try:
            return self.carry_on(images)
        except KeyboardInterrupt as interrupt:
            raise self.interrupted() from interrupt
        except Exception as error:
            self.log(f"error: {error}" if str(error) else f"error: {type(error).__name__}")
            raise

    def carry_on(self, images: Images | None) -> Run:
        """Do everything, in order."""
        self.listener.planned(self.job.plan)
        # The network first: weights that do not fit are found before all images are read.
        with timed(self.progress.seconds, "prepare"):
            self.model = build_network(self.job)
        decoded_before = self.load(images)
        with timed(self.progress.seconds, "probe"):
            # Find out now, and not hours into the run, whether the largest step fits into memory.
            probe_step(self.job, self.model, largest_step(self.job))
        self.publish()
        torch.manual_seed(self.job.spec.seed)
        optimizer: StepOptimizer | None = None
        evaluation: Evaluation | None = None
        for index, step in enumerate(self.job.plan.steps):
            optimizer, evaluation = self.train_step(index, step, optimizer)
        if self.job.plan.metrics_on != "validation" or evaluation is None:
            evaluation = self.evaluate(self.job.plan.metrics_on)
        self.progress.images_decoded = self.loaded.images_decoded - decoded_before
        return self.finish(evaluation)

    def load(self, images: Images | None) -> int:
        """Take over the images, or read them; return how many had been decoded before this run.

        What it took to read images that several runs share is charged to each of them, as if each
        had read them itself: so the order of the runs in a comparison changes nothing.
        """
        if images is None:
            images = read_images(self.job, self.listener)
        else:
            self.started -= images.seconds
        self.loaded = images.loaded
        self.progress.seconds["data"] = images.seconds
        for note in self.job.dataset.notes:
            self.warn(note)
        for item in self.loaded.skipped:
            self.warn(f"left out `{item.id}` of {item.split}: {item.reason}")
        if self.loaded.skipped:
            self.replan()
        return self.loaded.images_decoded - images.decoded

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

    def train_step(
        self, index: int, step: PlannedStep, previous: StepOptimizer | None
    ) -> tuple[StepOptimizer, Evaluation]:
        """Train the epochs of one step, and prove that what was frozen stayed so."""
        self.listener.step_started(step)
        self.log(f"step {step.name}: {step.trainable_parameters} parameters learn")
        started = time.perf_counter()
        before = frozen_digests(self.model, step.frozen)
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
            transform=self.job.transform,
            device=self.job.device,
            listener=self.listener,
        )
        for epoch in range(step.first_epoch, step.first_epoch + step.epochs):
            evaluation, metrics = self.train_epoch(trainer, epoch)
            self.checkpoint(optimizer, index, epoch + 1, last=epoch + 1 == self.job.plan.epochs)
        check_frozen(before, frozen_digests(self.model, step.frozen), step.name)
        self.progress.steps.append(
            {
                "name": step.name,
                "epochs": step.epochs,
                "trainable_parameters": step.trainable_parameters,
                "frozen_parameters": step.frozen_parameters,
                "seconds": time.perf_counter() - started,
                "accuracy": metrics.get("accuracy"),
            }
        )
        return optimizer, evaluation

    def train_epoch(self, trainer: Trainer, epoch: int) -> tuple[Evaluation, dict[str, float]]:
        """Train one epoch, evaluate it, and write its lines."""
        with timed(self.progress.seconds, "train"), self.memory_explained(trainer.step.name):
            trained = trainer.train_epoch(epoch)
        self.progress.images_through_backbone += trained.images
        evaluation = self.evaluate("validation")
        metrics = measure(evaluation, self.job.spec.evaluation.metrics)
        record = {
            "epoch": epoch + 1,
            "step": trainer.step.name,
            "train": {"loss": trained.loss},
            "validation": metrics,
        }
        append_json_line(self.directory.path / "metrics.jsonl", record)
        append_json_line(
            self.directory.path / "timings.jsonl",
            {
                "epoch": epoch + 1,
                "train_seconds": trained.seconds,
                "images_per_second": trained.images / trained.seconds,
            },
        )
        self.epochs_done = epoch + 1
        self.log(f"epoch {epoch + 1}: training loss {trained.loss:.4f}, validation {metrics}")
        self.listener.epoch_finished(record)
        return evaluation, metrics

    def evaluate(self, split_name: str) -> Evaluation:
        """Return what the network says about a split."""
        split = self.loaded.splits[split_name]
        chunk = chunk_size_of(self.job.device, self.job.transform.size)
        batches = evaluation_batches(split, self.job.transform, chunk)
        with timed(self.progress.seconds, "evaluate"):
            logits = evaluate_batches(self.model, batches, self.job.transform, self.job.device)
        self.progress.images_through_backbone += len(split)
        finite = logits.isfinite().all(dim=1)
        if not finite.all():
            first = split.items[int(finite.logical_not().nonzero()[0])]
            raise RunError(
                f"the network gives no finite numbers for {int(finite.logical_not().sum())} of "
                f"{len(split)} {split_name} images, such as `{first.id}`",
                hint=NOT_FINITE_HINT,
            )
        return Evaluation(logits, split.labels)

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
        report = build_report(self.job, self.loaded, self.progress, metrics)
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
