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
    from tlf.engine.predictor import Prediction, Predictor, load
    from tlf.engine.run import Run, plan, run
    from tlf.planning import RunPlan

    __version__: str

__all__ = [
    "Comparison",
    "Prediction",
    "Predictor",
    "Run",
    "RunPlan",
    "TlfError",
    "__version__",
    "compare",
    "load",
    "plan",
    "run",
]

_HOMES = {
    "Comparison": "tlf.engine.compare",
    "Prediction": "tlf.engine.predictor",
    "Predictor": "tlf.engine.predictor",
    "Run": "tlf.engine.run",
    "RunPlan": "tlf.planning",
    "compare": "tlf.engine.compare",
    "load": "tlf.engine.predictor",
    "plan": "tlf.engine.run",
    "run": "tlf.engine.run",
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
