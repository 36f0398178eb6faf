"""Fit a pretrained network to your own images.

    run = tlf.run("spec.json")                  # plan, train, evaluate, write the run directory
    run.metrics["accuracy"]
    tlf.load(run.directory).predict(["photo.jpg"])

Importing this module imports no torch; the functions do, when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlf.errors import TlfError

if TYPE_CHECKING:
    from tlf.engine.compare import Comparison, compare
    from tlf.engine.listener import Listener
    from tlf.engine.metrics import accuracy_interval
    from tlf.engine.pages import write_report
    from tlf.engine.predictor import Prediction, Predictor, load
    from tlf.engine.repro import Reproduction, repro
    from tlf.engine.run import Run, plan, resume, run
    from tlf.engine.suggest import Suggestion, suggest
    from tlf.engine.tuning import LearningRates, tune_lr
    from tlf.planning import RunPlan

    __version__: str

__all__ = [
    "Comparison",
    "LearningRates",
    "Listener",
    "Prediction",
    "Predictor",
    "Reproduction",
    "Run",
    "RunPlan",
    "Suggestion",
    "TlfError",
    "__version__",
    "accuracy_interval",
    "compare",
    "load",
    "plan",
    "repro",
    "resume",
    "run",
    "suggest",
    "tune_lr",
    "write_report",
]

_HOMES = {
    "Comparison": "tlf.engine.compare",
    "LearningRates": "tlf.engine.learning_rates",
    "Listener": "tlf.engine.listener",
    "Prediction": "tlf.engine.predictor",
    "Predictor": "tlf.engine.predictor",
    "Reproduction": "tlf.engine.repro",
    "Run": "tlf.engine.run",
    "RunPlan": "tlf.planning",
    "Suggestion": "tlf.engine.suggest",
    "accuracy_interval": "tlf.engine.metrics",
    "compare": "tlf.engine.compare",
    "load": "tlf.engine.predictor",
    "plan": "tlf.engine.run",
    "repro": "tlf.engine.repro",
    "resume": "tlf.engine.run",
    "run": "tlf.engine.run",
    "suggest": "tlf.engine.suggest",
    "tune_lr": "tlf.engine.tuning",
    "write_report": "tlf.engine.pages",
}


def __getattr__(name: str) -> object:
    """Load a public name from its home when it is first used."""
    import importlib

    value: object
    if name == "__version__":
        from importlib import metadata

        value = metadata.version("tlf")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
