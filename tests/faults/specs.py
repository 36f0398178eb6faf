"""Small runs, one for each strategy that there is, which take part of a second each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.small import spec_of, write_photographs
from tlf.registry import load_registry

#: Each with options that let it do all that it can in three epochs.
STRATEGIES: Mapping[str, Any] = {
    "auto": "auto",
    "bias-tuning": {"name": "bias-tuning", "options": {"norms": "learn"}},
    "feature-extraction": "feature-extraction",
    "from-scratch": "from-scratch",
    "full-fine-tuning": "full-fine-tuning",
    "gradual-unfreezing": "gradual-unfreezing",
    "knn": "knn",
    "l2-sp": "l2-sp",
    "lora": "lora",
    "lp-ft": "lp-ft",
    "norm-tuning": "norm-tuning",
    "probe": "probe",
    "robust": "robust",
    "surgical": "surgical",
}


def usable() -> list[str]:
    """Return the names of those whose libraries are installed."""
    registry = load_registry()
    return [
        name for name in STRATEGIES if not registry.get("strategy", name).missing_requirements()
    ]


def small_specs(folder: Path) -> dict[str, dict[str, Any]]:
    """Write photographs, and return a spec of them for each strategy, by its name.

    Args:
        folder: Where to write 24 to train on and 10 to validate on.
    """
    write_photographs(folder, {"train": 12, "val": 5}, seed=0)
    return {
        name: spec_of(
            folder,
            backbone="tlf/resnet20",
            head={"name": "linear", "options": {"dropout": 0.2}},
            strategy=strategy,
            training={"epochs": 4, "batch_size": 8},
            checkpoint={"every_seconds": 0.02},
        )
        for name, strategy in STRATEGIES.items()
    }
