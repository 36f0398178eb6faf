"""`report.json`: what came of a run, as numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tlf.engine.classification import classification, describe_data
from tlf.engine.losses import class_weights_of
from tlf.engine.metrics import accuracy_interval
from tlf.engine.multilabel.metrics import mean_average_precision_interval

if TYPE_CHECKING:
    from tlf.data import Loaded
    from tlf.engine.features import Work
    from tlf.engine.metrics import Evaluation
    from tlf.engine.prepare import Job
    from tlf.planning import PlannedStep, RunPlan

SCHEMA_VERSION = 1

#: What a run spends its time on, in this order.
KINDS_OF_WORK = ("prepare", "probe", "data", "prefix", "train", "evaluate", "contract")


@dataclass
class Progress:
    """What a run has counted and measured so far.

    Attributes:
        started: When the run began, on the performance counter of this process; before the process
            itself if the run goes on from an earlier one.
        resumed: How often the run has gone on after it was stopped.
        images_decoded: How many times an image was decoded for this run.
        images_through_backbone: Forward passes of one image through the backbone.
        adapters: What was added to the network and merged, if a strategy does so.
        kept: The step that the run ends with the weights of, if these were chosen among all steps.
        epochs_done: Epochs that are trained and evaluated.
        steps: A record for each finished step.
        seconds: By kind of work: `prepare` (building the network), `probe`, `data` (reading,
            decoding, views), `prefix` (forward passes of what is frozen), `train`, `evaluate`,
            `contract` (proving that what is frozen stayed so).
    """

    started: float = field(default_factory=time.perf_counter)
    resumed: int = 0
    kept: Mapping[str, Any] | None = None
    adapters: Mapping[str, Any] | None = None
    images_decoded: int = 0
    images_through_backbone: int = 0
    epochs_done: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS_OF_WORK, 0.0))

    def as_json(self) -> dict[str, Any]:
        """Return it as checkpoints hold it, with the seconds that the run has taken in all."""
        facts = {name: value for name, value in vars(self).items() if name != "started"}
        return {**facts, "total": time.perf_counter() - self.started}

    def add_earlier(self, earlier: Mapping[str, Any]) -> None:
        """Take over what the run had come to before it was stopped.

        Args:
            earlier: What `as_json` returned then.
        """
        self.started -= earlier["total"]
        self.resumed = earlier["resumed"] + 1
        self.images_decoded += earlier["images_decoded"]
        self.images_through_backbone += earlier["images_through_backbone"]
        self.epochs_done = earlier["epochs_done"]
        self.steps = list(earlier["steps"])
        for kind, seconds in earlier["seconds"].items():
            self.seconds[kind] += seconds


def describe_step(
    step: PlannedStep, *, seconds: float, work: Work, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """Return what the report holds of a finished step.

    Args:
        step: The step.
        seconds: How long it took.
        work: What its frozen part took.
        metrics: After its last epoch, of validation images.
    """
    return {
        "name": step.name,
        "epochs": step.epochs,
        "trainable_parameters": step.trainable_parameters,
        "frozen_parameters": step.frozen_parameters,
        "seconds": seconds,
        "accuracy": metrics.get("accuracy"),
        "mean_average_precision": metrics.get("mean-average-precision"),
        "cache": {
            **asdict(step.cache),
            "prefix_seconds": work.prefix_seconds,
            "rows_found": work.rows_found,
            "rows_computed": work.rows_computed,
        },
    }


def describe_cache(plan: RunPlan, progress: Progress, work: Work) -> dict[str, Any]:
    """Return what was predicted of the frozen part and its cache, and what came of it.

    Args:
        plan: The run's plan.
        progress: What was measured.
        work: What the frozen part took.
    """
    caches = [step.cache for step in plan.steps]
    return {
        "mode": plan.cache["mode"],
        "predicted_seconds": sum(cache.seconds for cache in caches),
        "predicted_seconds_without": sum(cache.seconds_without for cache in caches),
        "seconds": progress.seconds["data"] + work.prefix_seconds,
        "predicted_bytes": sum(cache.bytes for cache in caches if cache.level == "features"),
        "bytes_kept": work.bytes_kept,
        "rows_computed": work.rows_computed,
        "rows_found": work.rows_found,
    }


def build_report(
    job: Job,
    loaded: Loaded,
    progress: Progress,
    *,
    evaluation: Evaluation,
    metrics: dict[str, float],
    work: Work,
) -> dict[str, Any]:
    """Return what `report.json` holds, but for the totals that are known only at the very end.

    Args:
        job: The run.
        loaded: The images.
        progress: What was counted.
        evaluation: What the network says about the reported split.
        metrics: Of the same.
        work: What the frozen part took.
    """
    plan = job.plan
    count = len(loaded.splits[plan.metrics_on].items)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": plan.name,
        "strategy": plan.strategy,
        "backbone": plan.backbone["name"],
        "task": plan.task,
        "num_classes": len(plan.classes),
        "seed": plan.seed,
        "precision": plan.device["precision"],
        "threads": plan.device["threads"],
        "deterministic": plan.device["deterministic"],
        "weights_from": plan.weights_from,
        "selection_on": plan.selection_on,
        "kept": progress.kept,
        "metrics_on": plan.metrics_on,
        "images_measured": count,
        "metrics": metrics,
        "accuracy_interval": list(accuracy_interval(metrics["accuracy"], count))
        if "accuracy" in metrics
        else None,
        "mean_average_precision_interval": _precision_interval(evaluation, metrics),
        "classification": classification(evaluation, plan.classes),
        "class_weights": _class_weights(job, loaded),
        "resumed": progress.resumed,
        **({} if progress.adapters is None else {"adapters": progress.adapters}),
        "steps": progress.steps,
        "cache": describe_cache(plan, progress, work),
        "images": {name: len(split.items) for name, split in loaded.splits.items()},
        "data": describe_data(loaded),
        "skipped": [
            {"split": item.split, "id": item.id, "reason": item.reason} for item in loaded.skipped
        ],
        "images_decoded": progress.images_decoded,
        "images_through_backbone": progress.images_through_backbone,
        "peak_memory_bytes": job.device.peak_memory_bytes(),
        "timings": {f"{kind}_seconds": progress.seconds[kind] for kind in KINDS_OF_WORK},
    }


def _class_weights(job: Job, loaded: Loaded) -> dict[str, float] | None:
    """Return what an image of each class counted for; None if all counted alike."""
    classes, labels = job.plan.classes, loaded.splits["train"].labels
    weights = class_weights_of(job.spec.training, classes, labels)
    return None if weights is None else dict(zip(classes, weights.tolist(), strict=True))


def _precision_interval(evaluation: Evaluation, metrics: Mapping[str, float]) -> list[float] | None:
    if "mean-average-precision" not in metrics:
        return None
    scores = evaluation.probabilities.numpy()
    found = mean_average_precision_interval(evaluation.shown, scores)
    return None if found is None else list(found)
