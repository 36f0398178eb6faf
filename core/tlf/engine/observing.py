"""The observers of a run: they hear of it, and can neither change nor end it."""

from __future__ import annotations

import contextlib
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tlf.discovery import describe
from tlf.engine.determinism import strictness_kept
from tlf.engine.generators import forked_generators
from tlf.plugin import EpochFinished, RunFinished, RunStarted, StepFinished, StepStarted

if TYPE_CHECKING:
    from tlf.engine.parts import Made
    from tlf.plugin import Observer

Event = RunStarted | StepStarted | EpochFinished | StepFinished | RunFinished

#: The method that hears of each kind of event.
_METHODS: dict[type[Event], str] = {
    RunStarted: "run_started",
    StepStarted: "step_started",
    EpochFinished: "epoch_finished",
    StepFinished: "step_finished",
    RunFinished: "run_finished",
}


class Observers:
    """Tells the observers of a run what happens.

    Args:
        observers: Those that the spec names, in its order.
        device: Where the run computes.
        warn: Hears of an observer that fails.
    """

    def __init__(
        self,
        observers: Sequence[Made[Observer[Any]]],
        device: torch.device,
        warn: Callable[[str], None],
    ) -> None:
        self._listening = list(observers)
        self._device = device
        self._warn = warn

    def tell(self, event: Event) -> None:
        """Tell every observer, each with a copy of its own. One that fails hears nothing more.

        Args:
            event: What has happened.
        """
        method = _METHODS[type(event)]
        for made in tuple(self._listening):
            try:
                with _put_back(self._device), contextlib.redirect_stdout(sys.stderr):
                    getattr(made.part, method)(_copied(event))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises
                self._listening.remove(made)
                self._warn(
                    f"the observer `{made.entry.declaration.name}` ({made.entry.plugin.origin}) is "
                    f"dropped: `{method}` fails: {describe(error)}"
                )


def _copied(event: Event) -> Event:
    """Return an event whose mappings are nobody else's, and hold what JSON holds."""
    mappings = {name: value for name, value in vars(event).items() if isinstance(value, Mapping)}
    return replace(event, **{name: json.loads(json.dumps(it)) for name, it in mappings.items()})


@contextlib.contextmanager
def _put_back(device: torch.device) -> Iterator[None]:
    """Leave the random generators, and what torch is set to, as they were before the block."""
    python, numpy = random.getstate(), np.random.get_state()
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    try:
        with (
            strictness_kept(),
            forked_generators(device),
            torch.set_grad_enabled(torch.is_grad_enabled()),
        ):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
