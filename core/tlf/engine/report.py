"""`report.json`: what came of a run, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tlf.engine.metrics import accuracy_interval

if TYPE_CHECKING:
    from tlf.data import Loaded
    from tlf.engine.prepare import Job

SCHEMA_VERSION = 1

#: What a run spends its time on, in this order.
KINDS_OF_WORK = ("prepare", "data", "probe", "train", "evaluate")


@dataclass
class Progress:
    """What a run has counted and measured so far.

    Attributes:
        images_decoded: How many times an image was decoded for this run.
        images_through_backbone: Forward passes of one image through the backbone.
        steps: A record for each finished step.
        seconds: By kind of work: `prepare`, `data`, `probe`, `train`, `evaluate`.
    """

    images_decoded: int = 0
    images_through_backbone: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS_OF_WORK, 0.0))


def build_report(
    job: Job, loaded: Loaded, progress: Progress, metrics: dict[str, float]
) -> dict[str, Any]:
    """Return what `report.json` holds, but for the totals that are known only at the very end.

    Args:
        job: The run.
        loaded: The images.
        progress: What was counted.
        metrics: Of the reported split.
    """
    plan = job.plan
    count = len(loaded.splits[plan.metrics_on].items)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": plan.name,
        "strategy": plan.strategy,
        "backbone": plan.backbone["name"],
        "num_classes": len(plan.classes),
        "seed": plan.seed,
        "precision": plan.device["precision"],
        "threads": plan.device["threads"],
        "weights_from": plan.weights_from,
        "metrics_on": plan.metrics_on,
        "images_measured": count,
        "metrics": metrics,
        "accuracy_interval": list(accuracy_interval(metrics["accuracy"], count))
        if "accuracy" in metrics
        else None,
        "steps": progress.steps,
        "images": {name: len(split.items) for name, split in loaded.splits.items()},
        "skipped": [
            {"split": item.split, "id": item.id, "reason": item.reason} for item in loaded.skipped
        ],
        "images_decoded": progress.images_decoded,
        "images_through_backbone": progress.images_through_backbone,
        "peak_memory_bytes": job.device.peak_memory_bytes(),
        "timings": {f"{kind}_seconds": progress.seconds[kind] for kind in KINDS_OF_WORK},
    }
