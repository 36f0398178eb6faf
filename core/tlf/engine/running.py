"""A run that is being carried out. Read it from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import InitVar, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.data import Loaded, batches_per_epoch, load_dataset
from tlf.engine.artifact import write_artifact
from tlf.engine.boundary import Boundary, boundaries
from tlf.engine.clock import process_seconds, timed
from tlf.engine.determinism import operations_explained
from tlf.engine.directory import RunDirectory
from tlf.engine.environment import describe_environment
from tlf.engine.features import Features
from tlf.engine.freeze import FreezeContract
from tlf.engine.listener import Listener, kept
from tlf.engine.metrics import Evaluation, measure
from tlf.engine.network import build_network, inference_of
from tlf.engine.observing import Observers
from tlf.engine.predictions import prediction_lines
from tlf.engine.prepare import Job
from tlf.engine.probe import largest_step, probe_step
from tlf.engine.remembered import FileMemory, open_cache
from tlf.engine.report import Progress, build_report
from tlf.engine.stepping import Stepper
from tlf.errors import RunInterrupted
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
        observers: Tells them what happens.
        progress: What was counted and measured so far.
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
    watching: InitVar[tuple[Made[Observer[Any]], ...]]
    observers: Observers = field(init=False)
    progress: Progress = field(default_factory=Progress)
    loaded: Loaded = field(init=False)
    model: Model = field(init=False)
    boundary: Boundary = field(init=False)
    contract: FreezeContract = field(init=False)
    inference: Inference = field(init=False)
    cuts: tuple[int, ...] = field(init=False)
    _unwritten: list[str] = field(default_factory=list)

    def __post_init__(self, watching: tuple[Made[Observer[Any]], ...]) -> None:
        """Get ready to tell the observers."""
        self.observers = Observers(watching, self.job.device.torch_device, self.warn)

    def carry_out(self) -> Run:
        """Do everything, and leave a word in the log if it fails."""
        try:
            run = self.carry_on()
        except KeyboardInterrupt as interrupt:
            stopped = self.interrupted()
            self.ended(report=None, error=stopped.message)
            raise stopped from interrupt
        except Exception as error:
            words = str(error) or type(error).__name__
            self.log(f"error: {words}")
            self.ended(report=None, error=words)
            raise
        self.ended(report=run.report, error=None)
        return run

    def ended(self, report: Mapping[str, Any] | None, error: str | None) -> None:
        """Tell the observers how the run has ended, if they have heard that it began."""
        if self.directory.published:
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
        plan = self.job.plan.as_json()
        self.directory.write_json("plan.json", plan)
        environment = {
            **describe_environment(self.job, self.loaded, self.registry),
            # What relative paths in the spec start from, for whoever looks at its images again.
            "folder": _in_json(self.raw.folder.absolute()),
        }
        self.directory.write_json("environment.json", environment)
        self.directory.write_json(
            "splits.json",
            {name: [item.id for item in split.items] for name, split in self.loaded.splits.items()},
        )
        self.listener.directory(self.directory.publish())
        self.observers.tell(
            RunStarted(
                directory=self.directory.path,
                spec=self.job.spec.model_dump(mode="json"),
                plan=plan,
                environment=environment,
            )
        )

    def train(self) -> Evaluation:
        """Carry out every step, and return what is reported."""
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
        )
        with operations_explained(self.under_way):
            evaluation = stepper.carry_out()
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
        write_artifact(self.directory.path, self.model, self.job)
        self.progress.images_decoded = self.loaded.images_decoded
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
            f"stopped after {self.progress.epochs_done} of {self.job.plan.epochs} epochs",
            hint=kept(self.directory.path),
        )


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
