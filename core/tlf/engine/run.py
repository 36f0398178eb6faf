"""A run, from a spec to a directory of results. Read it from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.data import Loaded, evaluation_batches, load_dataset
from tlf.engine.artifact import write_artifact
from tlf.engine.checkpoint import Position, save_checkpoint
from tlf.engine.clock import process_seconds, timed
from tlf.engine.directory import RunDirectory
from tlf.engine.environment import describe_environment
from tlf.engine.files import append_json_line
from tlf.engine.freeze import check_frozen, frozen_digests
from tlf.engine.listener import Listener
from tlf.engine.loop import NOT_FINITE_HINT, Trainer
from tlf.engine.metrics import Evaluation, measure
from tlf.engine.network import build_network, evaluate_batches
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.prepare import Job, prepare
from tlf.engine.probe import Measurement, largest_step, probe_step, probe_steps
from tlf.engine.report import Progress, build_report
from tlf.errors import RunError, RunInterrupted, TlfError
from tlf.registry import Registry, check, load_registry
from tlf.spec import RawSpec, load_raw

if TYPE_CHECKING:
    from tlf.engine.predictor import Prediction
    from tlf.planning import PlannedStep, RunPlan

#: Decoded images are kept in memory up to this much, so that a photograph is decoded once in a run.
DECODED_BYTES = 2 * 2**30

#: `predictions.jsonl` holds the probabilities of this many classes, the likeliest first.
PREDICTED_CLASSES = 20


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
    output_directory: Path | None = None,
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
    finished, _ = run_raw(raw, output_directory=output_directory, listener=listener)
    return finished


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
    output_directory: Path | None = None,
    listener: Listener | None = None,
    loaded: Loaded | None = None,
) -> tuple[Run, Loaded]:
    """Carry out a spec that has been read; return the run and the images, for the next one.

    Args:
        raw: The spec.
        output_directory: The run directory, which must not exist.
        listener: Hears about the run.
        loaded: The images, if an earlier run of the same data and transforms has them.

    Raises:
        TlfError: See `run`.
    """
    registry = load_registry()
    spec = check(raw, registry)
    started = time.perf_counter()
    job = prepare(spec, raw.folder, registry)
    with RunDirectory(raw.folder / spec.output, spec.name, output_directory) as directory:
        running = Running(job, raw, registry, directory, listener or Listener(), started)
        with torch.random.fork_rng():
            try:
                return running.carry_out(loaded), running.loaded
            except KeyboardInterrupt as interrupt:
                raise running.interrupted() from interrupt
            except TlfError as error:
                running.log(f"error: {error}")
                raise


@dataclass
class Running:
    """A run that is being carried out.

    Attributes:
        job: What to do.
        raw: The spec as it was read.
        registry: The installed plugins.
        directory: Where to write.
        listener: Whom to tell.
        started: When the spec had been parsed, on the performance counter.
    """

    job: Job
    raw: RawSpec
    registry: Registry
    directory: RunDirectory
    listener: Listener
    started: float
    progress: Progress = field(default_factory=Progress)
    epochs_done: int = 0

    def carry_out(self, loaded: Loaded | None) -> Run:
        """Do everything, in order."""
        self.listener.planned(self.job.plan)
        # The network first: weights that do not fit are found before all images are read.
        self.model = build_network(self.job)
        decoded_before = loaded.images_decoded if loaded else 0
        self.loaded = loaded or self.load()
        probe_seconds = self.try_largest_step()
        self.publish()
        torch.manual_seed(self.job.spec.seed)
        optimizer: StepOptimizer | None = None
        evaluation: Evaluation | None = None
        for index, step in enumerate(self.job.plan.steps):
            optimizer, evaluation = self.train_step(index, step, optimizer)
        if self.job.plan.metrics_on != "validation" or evaluation is None:
            evaluation = self.evaluate(self.job.plan.metrics_on)
        self.progress.images_decoded = self.loaded.images_decoded - decoded_before
        return self.finish(evaluation, probe_seconds)

    def load(self) -> Loaded:
        """Read and decode every image once, and apply the policy for unreadable ones."""
        spec = self.job.spec
        with timed(self.progress.seconds, "data"):
            loaded = load_dataset(
                self.job.dataset,
                self.job.transform,
                unreadable=spec.data.unreadable,
                workers=spec.training.workers,
                memory_bytes=DECODED_BYTES,
                progress=self.listener.loading,
            )
        for note in self.job.dataset.notes:
            self.listener.warning(note)
        for item in loaded.skipped:
            self.listener.warning(f"left out `{item.id}` of {item.split}: {item.reason}")
        return loaded

    def try_largest_step(self) -> float:
        """Find out now, and not hours into the run, whether the largest step fits into memory."""
        started = time.perf_counter()
        probe_step(self.job, self.model, largest_step(self.job))
        return time.perf_counter() - started

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
        started = time.perf_counter()
        before = frozen_digests(self.model, step.frozen)
        self.model.thaw(step.trainable)
        optimizer = StepOptimizer(self.model, step, self.job.spec.training, previous)
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
        with timed(self.progress.seconds, "train"):
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
        batches = evaluation_batches(split, self.job.transform, self.job.device.chunk_size)
        with timed(self.progress.seconds, "evaluate"):
            logits = evaluate_batches(self.model, batches, self.job.transform, self.job.device)
        self.progress.images_through_backbone += len(split.items)
        finite = logits.isfinite().all(dim=1)
        if not finite.all():
            first = split.items[int(finite.logical_not().nonzero()[0])]
            raise RunError(
                f"the network gives no finite numbers for {int(finite.logical_not().sum())} of "
                f"{len(split)} {split_name} images, such as `{first.id}`",
                hint=NOT_FINITE_HINT,
            )
        return Evaluation(logits, split.labels)

    def checkpoint(self, optimizer: StepOptimizer, step: int, epoch: int, *, last: bool) -> None:
        """Save the state if the last one is old, but not at the very end: the artifact is next."""
        waited = time.perf_counter() - self.last_checkpoint
        if last or waited < self.job.spec.checkpoint.every_seconds:
            return
        position = Position(step, epoch, epoch * self.job.plan.batches_per_epoch)
        save_checkpoint(self.directory.path / "checkpoints", self.model, optimizer, position)
        self.last_checkpoint = time.perf_counter()

    def finish(self, evaluation: Evaluation, probe_seconds: float) -> Run:
        """Write predictions, the artifact and, last of all, the report."""
        metrics = measure(evaluation, self.job.spec.evaluation.metrics)
        self.write_predictions(evaluation)
        write_artifact(self.directory.path, self.model, self.job)
        report = build_report(self.job, self.loaded, self.progress, metrics, probe_seconds)
        report["timings"]["total_seconds"] = time.perf_counter() - self.started
        report["timings"]["process_seconds"] = process_seconds()
        self.directory.write_json("report.json", report)
        self.log(f"done: {metrics}")
        return Run(self.directory.path, report)

    def write_predictions(self, evaluation: Evaluation) -> None:
        """Write what the network says about each image that the metrics speak of."""
        classes = self.job.plan.classes
        items = self.loaded.splits[self.job.plan.metrics_on].items
        lines = []
        for item, row in zip(items, evaluation.probabilities, strict=True):
            likely = row.topk(min(PREDICTED_CLASSES, len(classes)))
            lines.append(
                {
                    "id": item.id,
                    "label": classes[item.label],
                    "predicted": classes[int(likely.indices[0])],
                    "probabilities": {
                        classes[int(i)]: float(p)
                        for p, i in zip(likely.values, likely.indices, strict=True)
                    },
                }
            )
        self.directory.write_json_lines("predictions.jsonl", lines)

    def log(self, line: str) -> None:
        """Add a line to `log.txt`, once there is a run directory."""
        if self.directory.published:
            with (self.directory.path / "log.txt").open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def interrupted(self) -> RunInterrupted:
        """Say what a stopped run leaves behind."""
        if not self.directory.published:
            return RunInterrupted("stopped before training; nothing was written")
        self.log("stopped by the user")
        done, epochs = self.epochs_done, self.job.plan.epochs
        return RunInterrupted(
            f"stopped after {done} of {epochs} epochs",
            hint=f"metrics, plan and checkpoints so far are kept in `{self.directory.path}`",
        )
