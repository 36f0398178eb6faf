"""A run that is being carried out. Read it from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import InitVar, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.data import Loaded, batches_per_epoch, load_dataset
from tlf.data.reasons import reason_of
from tlf.engine.artifact import write_artifact
from tlf.engine.boundary import Boundary, boundaries
from tlf.engine.checkpoint import State, load_checkpoint, remove_checkpoints
from tlf.engine.clock import process_seconds, timed
from tlf.engine.determinism import operations_explained
from tlf.engine.directory import RunDirectory
from tlf.engine.environment import describe_contents, describe_environment
from tlf.engine.features import Features
from tlf.engine.files import append_text, read_json, remove_half_written
from tlf.engine.freeze import FreezeContract
from tlf.engine.listener import Listener, kept
from tlf.engine.loaded_check import check_loaded
from tlf.engine.metrics import Evaluation, measure
from tlf.engine.network import build_network, inference_of
from tlf.engine.observing import Observers
from tlf.engine.pages import REPORT
from tlf.engine.predictions import prediction_lines
from tlf.engine.prepare import Job
from tlf.engine.probe import largest_step, probe_step
from tlf.engine.record import ENVIRONMENT, PLAN, SPEC, Record
from tlf.engine.remembered import FileMemory, open_cache
from tlf.engine.report import Progress, build_report
from tlf.engine.resuming import refuse_changes, refuse_other_device, refuse_other_spec
from tlf.engine.stepping import Stepper
from tlf.engine.stopping import STOPPED_EARLY, ending_of, stopped
from tlf.engine.teacher import Teacher, load_teacher
from tlf.errors import OutputError, RunError, RunInterrupted, RunTerminated
from tlf.plugin import RunFinished, RunStarted
from tlf.registry import Registry
from tlf.spec import RawSpec

if TYPE_CHECKING:
    from tlf.cache import Cache
    from tlf.engine.inference import Inference
    from tlf.engine.model import Model
    from tlf.engine.parts import Made
    from tlf.engine.predictor import Prediction
    from tlf.plugin import Observer


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


def finished_run(folder: Path) -> Run | None:
    """Return the run of a directory if it is finished.

    Args:
        folder: The run directory.

    Raises:
        OutputError: Its report is damaged.
    """
    try:
        report = read_json(folder / REPORT)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OutputError(
            f"`{folder / REPORT}` cannot be read: {error}",
            hint="remove it: the run then goes on, and writes it again",
        ) from error
    remove_checkpoints(folder)
    remove_half_written(folder)
    return Run(folder, report)


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
        watching: The observers that the spec names.
        record: Of the run that goes on; None for a new one.
        observers: Tells them what happens.
        progress: What was counted and measured so far.
        loaded: The images.
        model: The network.
        boundary: What is kept of what is frozen.
        contract: Proves that what is frozen stays so.
        inference: The network in evaluation.
        cuts: Of each step, how many stages lie before the boundary of what is frozen.
        environment: What `environment.json` holds, as far as it is known.
        teacher: Whom the network learns from besides; None if there is nobody.
    """

    job: Job
    raw: RawSpec
    registry: Registry
    directory: RunDirectory
    listener: Listener
    started: float
    watching: InitVar[tuple[Made[Observer[Any]], ...]]
    record: Record | None = None
    observers: Observers = field(init=False)
    progress: Progress = field(default_factory=Progress)
    loaded: Loaded = field(init=False)
    model: Model = field(init=False)
    boundary: Boundary = field(init=False)
    contract: FreezeContract = field(init=False)
    inference: Inference = field(init=False)
    cuts: tuple[int, ...] = field(init=False)
    environment: dict[str, Any] = field(init=False)
    teacher: Teacher | None = field(init=False)
    _unwritten: list[str] = field(default_factory=list)

    def __post_init__(self, watching: tuple[Made[Observer[Any]], ...]) -> None:
        """Get ready to tell the observers."""
        self.observers = Observers(watching, self.job.device.torch_device, self.warn)
        self.progress.started = self.started

    def carry_out(self) -> Run:
        """Do everything, and leave a word in the log if it fails."""
        try:
            run = self.carry_on()
        except KeyboardInterrupt as interrupt:
            ending = self.interrupted(interrupt)
            self.ended(report=None, error=ending.message)
            raise ending from interrupt
        except RunInterrupted as interrupt:
            self.log(interrupt.message)
            self.ended(report=None, error=interrupt.message)
            raise
        except OSError as error:
            failure = self.unwritten(error)
            self.log(f"error: {failure.message}")
            self.ended(report=None, error=failure.message)
            raise failure from error
        except Exception as error:
            words = str(error) or type(error).__name__
            self.log(f"error: {words}")
            self.ended(report=None, error=words)
            raise
        self.ended(report=run.report, error=None)
        return run

    def ended(self, report: Mapping[str, Any] | None, error: str | None) -> None:
        """Tell the observers how the run has ended, if they have heard that it began."""
        if self.directory.kept:
            self.observers.tell(RunFinished(report, error))

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
            self.publish()
            saved = self.saved()
            self.load(cache, saved)
            self.describe(saved)
            evaluation = self.train(saved)
            return self.finish(evaluation)

    def build(self) -> None:
        """Build the network, and find the boundary of what each step freezes."""
        self.model = build_network(self.job)
        self.contract = FreezeContract(self.model)
        self.inference = inference_of(self.job, self.model)
        self.cuts = boundaries(self.job.plan, self.model, self.inference)
        self.teacher = load_teacher(self.job, self.raw.folder, self.registry, self.warn)

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
        if self.teacher is not None and cache is not None:
            self.teacher.keep_in(cache, self.job, self.registry)

    def publish(self) -> None:
        """Let the run directory appear, with all that is known before images are read."""
        self.environment = {
            **describe_environment(self.job, self.registry),
            # What relative paths in the spec start from, for whoever looks at its images again.
            "folder": _in_json(self.raw.folder.absolute()),
        }
        if self.teacher is not None:
            self.environment["teacher"] = self.teacher.facts
        if self.record is not None:
            refuse_other_device(self.record, self.job.plan)
            self.refuse_changes(self.environment)
            remove_half_written(self.directory.path)
            self.log("the run goes on")
            return
        self.directory.write_text(SPEC, self.raw.text)
        self.directory.write_json(PLAN, self.job.plan.as_json())
        self.directory.write_json(ENVIRONMENT, self.environment)
        # Until the images are read, only a kill leaves it behind.
        self.directory.publish(keep=False)

    def refuse_changes(self, environment: Mapping[str, Any]) -> None:
        """Raise UsageError if the run cannot go on with what is here now.

        Args:
            environment: What `environment.json` would hold of it, or a part of that.
        """
        if self.record is not None:
            for change in refuse_changes(self.record, environment):
                self.warn(f"{change}: the last digits of its numbers may differ")

    def saved(self) -> State | None:
        """Return where the run is to go on; None for the start."""
        if self.record is None:
            return None
        saved = load_checkpoint(self.directory.path, self.warn)
        if saved is not None:
            # Somebody may have changed `spec.json` since.
            spec = self.job.spec.model_dump(mode="json")
            refuse_other_spec(self.directory.path, saved.facts["spec"], spec)
        return saved

    def load(self, cache: Cache | None, saved: State | None) -> None:
        """Read the images, and compute of them what the steps are going to ask for.

        Args:
            cache: Where things are kept; None if nothing is.
            saved: Where the run is to go on.
        """
        work = self.boundary.features.work
        first = 0 if saved is None else saved.position.step
        filling = self.boundary.filling(self.job.plan, first)
        memory = None if cache is None else FileMemory(cache)
        started = time.perf_counter()
        self.loaded = load_dataset(
            self.job.dataset,
            self.job.transform,
            unreadable=self.job.spec.data.unreadable,
            workers=self.job.spec.training.workers,
            timeout_seconds=self.job.spec.data.timeout_seconds,
            use=filling,
            digests=memory,
            decoded=self.boundary.images,
            progress=self.listener.loading,
            warn=self.warn,
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
        check_loaded(self.loaded, leaks=self.job.spec.data.leaks, warn=self.warn)
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

    def describe(self, saved: State | None) -> None:
        """Write down what is known by now of the images, and say that training begins.

        Args:
            saved: Where the run is to go on.
        """
        plan, images = self.job.plan.as_json(), {"data": describe_contents(self.loaded)}
        self.environment |= images
        if self.record is None or "data" not in self.record.environment:
            self.directory.write_json(PLAN, plan)
            self.directory.write_json(ENVIRONMENT, self.environment)
        else:
            self.refuse_changes(images)
        splits = {name: [item.id for item in it.items] for name, it in self.loaded.splits.items()}
        self.directory.write_json("splits.json", splits)
        self.directory.keep()
        self.listener.directory(self.directory.path)
        self.observers.tell(
            RunStarted(
                directory=self.directory.path,
                spec=self.job.spec.model_dump(mode="json"),
                plan=plan,
                environment=self.environment,
                epochs_done=self._epochs_done(saved),
            )
        )

    def _epochs_done(self, saved: State | None) -> int | None:
        if self.record is None:
            return None
        return 0 if saved is None else saved.position.epoch

    def train(self, saved: State | None) -> Evaluation:
        """Carry out every step, and return what is reported.

        Args:
            saved: Where to go on; None for the start.
        """
        stepper = Stepper(
            job=self.job,
            loaded=self.loaded,
            model=self.model,
            inference=self.inference,
            boundary=self.boundary,
            contract=self.contract,
            folder=self.directory.path,
            listener=self.listener,
            observers=self.observers,
            progress=self.progress,
            log=self.log,
            teacher=self.teacher,
        )
        with operations_explained(self.under_way):
            if self.teacher is not None:
                self.teacher.learn(self.job, self.loaded)
            evaluation = stepper.carry_out(saved)
        self.job = stepper.job
        return evaluation

    def under_way(self) -> str:
        """Return which step is being carried out."""
        steps = self.job.plan.steps
        # What is measured after the last one belongs to it.
        return f"step `{steps[min(len(self.progress.steps), len(steps) - 1)].name}`"

    def finish(self, evaluation: Evaluation) -> Run:
        """Write predictions, the artifact and, last of all, the report."""
        metrics = measure(evaluation, self.job.spec.evaluation.metrics)
        split = self.loaded.splits[self.job.plan.metrics_on]
        lines = prediction_lines(evaluation, split.items, split.digests, split.classes)
        self.directory.write_json_lines("predictions.jsonl", lines)
        several = evaluation.task == "multi-label"
        thresholds = evaluation.thresholds_of_classes.tolist() if several else None
        write_artifact(self.directory.path, self.model, self.job, thresholds)
        self.progress.images_decoded += self.loaded.images_decoded
        work = self.boundary.features.work
        self.progress.seconds["prefix"] = work.prefix_seconds
        self.progress.seconds["contract"] = self.contract.seconds
        report = build_report(
            self.job,
            self.loaded,
            self.progress,
            evaluation=evaluation,
            metrics=metrics,
            work=work,
        )
        report["teacher"] = None if self.teacher is None else self.teacher.report()
        report["timings"]["total_seconds"] = time.perf_counter() - self.progress.started
        report["timings"]["process_seconds"] = process_seconds()
        self.directory.write_json(REPORT, report)
        remove_checkpoints(self.directory.path)
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
            # Where there is no room for a line there is none for what follows, which says so.
            with suppress(OSError):
                append_text(self.directory.path / "log.txt", "".join(self._unwritten))
                self._unwritten.clear()

    def unwritten(self, error: OSError) -> RunError:
        """Return what ends a run that could not write one of its files.

        Args:
            error: Why. What reads images has errors of its own.
        """
        place = self.directory.path if error.filename is None else error.filename
        reason = reason_of(error)
        if not self.directory.kept:
            hint = "nothing was written; make room, or choose another `output`"
        else:
            hint = (
                f"what was saved before is still there; make room, and {kept(self.directory.path)}"
            )
        return RunError(f"`{place}` cannot be written: {reason}", hint=hint)

    def interrupted(self, interrupt: KeyboardInterrupt) -> RunInterrupted:
        """Return what ends a run that was stopped at once, and leave what can go on.

        Args:
            interrupt: What stopped it.
        """
        kind = ending_of(interrupt)
        if kind is RunTerminated and self.directory.published:
            # Who is terminated comes back to it: what is in the cache by now is not lost.
            self.directory.keep()
        if not self.directory.kept:
            return kind(STOPPED_EARLY)
        self.log("stopped")
        return stopped(kind, self.progress, self.job.plan, self.directory.path)


def _in_json(path: Path) -> str | None:
    """Return a path as text; None if it is none, for a JSON file cannot hold it.

    Args:
        path: The path.
    """
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text
