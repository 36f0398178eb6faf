"""Checks for observers, on runs of a toy network."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.plugin import RunFinished, RunStarted
from tlf.testing.promises import create, must_work, require
from tlf.testing.toy_run import ToyRun, toy_run, tried

if TYPE_CHECKING:
    from tlf.registry import Entry

__tracebackhide__ = True

#: What a run leaves behind that is the same each time.
_RESULTS = (
    "metrics.jsonl",
    "model.json",
    "model.safetensors",
    "predictions.jsonl",
    "splits.json",
)

#: Has a step without epochs and one with some.
_STRATEGY = "toy/solve-then-train"


@functools.cache
def _alone() -> ToyRun:
    """Return what the run comes to that nobody hears of: the same for all observers."""
    return toy_run(strategy=_STRATEGY)


def check_hears_a_run_to_its_end(entry: Entry, example: Mapping[str, Any]) -> None:
    """None of its methods raises, in a run of several steps, with epochs and without."""
    create(entry, example, Path("nowhere"))
    with must_work("a run of a toy network that the observer hears of"):
        warnings = tried(entry, example, strategy=_STRATEGY).warnings
    dropped = [line for line in warnings if entry.declaration.name in line]
    require(not dropped, f"no method may raise: {'; '.join(dropped)}")


def check_run_is_the_same_without_it(entry: Entry, example: Mapping[str, Any]) -> None:
    """A run that it hears of leaves behind, byte for byte, what it leaves behind without it."""
    with must_work("a run of a toy network"):
        alone, heard = _alone(), tried(entry, example, strategy=_STRATEGY)
    for name in _RESULTS:
        require(
            heard.files.get(name) == alone.files[name],
            f"with the observer the run's `{name}` is another one: it must write into files of its "
            "own, and leave torch and the network alone",
        )


def check_hears_of_a_run_that_fails(entry: Entry, example: Mapping[str, Any]) -> None:
    """`run_finished` takes a run that was stopped before its first step, which has no report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        observer = create(entry, example, folder)
        plan: dict[str, Any] = {
            "name": "toy",
            "task": "single-label",
            "selection_on": None,
            "steps": [],
            "seed": 0,
        }
        with must_work("`run_started`"):
            observer.run_started(RunStarted(folder, {"name": "toy"}, plan, {"plugins": []}))
        with must_work("`run_finished` of a run that was stopped, without a report,"):
            observer.run_finished(RunFinished(None, "stopped after 0 of 8 epochs"))


CHECKS = (
    check_hears_a_run_to_its_end,
    check_run_is_the_same_without_it,
    check_hears_of_a_run_that_fails,
)
