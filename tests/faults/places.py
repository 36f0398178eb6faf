"""Where in a run it can be hit: places that count how often the run comes by."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import tlf
from tlf.engine.freeze import FreezeContract

CACHE, EPOCH, CHECKPOINT = "cache build", "mid-epoch", "checkpoint write"
EVALUATION, STEP, REPORT = "evaluation", "step change", "report"
PLACES = (CACHE, EPOCH, CHECKPOINT, EVALUATION, STEP, REPORT)

#: What is written when a run is over.
_RESULTS = ("predictions.jsonl", "model.safetensors", "model.json", "report.json", "report.html")

#: What Python tells before it does something to a file that is there or comes to be.
_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.truncate", "shutil.rmtree")


class Hit:
    """Counts how often a run comes by each place, and does something the nth time.

    Args:
        place: Where to do it; None for nowhere.
        number: Which time, from 1.
        what: What to do: by default, to kill this process as the system would.
    """

    def __init__(
        self, place: str | None, number: int, what: Callable[[], object] | None = None
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._place = place
        self._number = number
        self._what = what or (lambda: os.kill(os.getpid(), signal.SIGKILL))

    def come_by(self, place: str) -> None:
        """Take note that the run is at a place."""
        self.counts[place] += 1
        if place == self._place and self.counts[place] == self._number:
            self._what()


class Places(tlf.Listener):
    """Tells a `Hit` where a run is.

    Args:
        hit: Hears of it.
        trained: Called after every batch.
    """

    def __init__(self, hit: Hit, trained: Callable[[], object] = lambda: None) -> None:
        self._hit = hit
        self._trained = trained
        watch_files(hit)
        watch_engine(hit)

    def loading(self, done: int, total: int) -> None:
        """Images are read, and features computed of them."""
        self._hit.come_by(CACHE)

    def batch_finished(self, epoch: int, images: int, loss: float) -> None:
        """A batch is over; the last one of an epoch counts, too."""
        self._hit.come_by(EPOCH)
        self._trained()

    def step_started(self, step: Any) -> None:
        """A step begins."""
        self._hit.come_by(STEP)


def watch_files(hit: Hit) -> None:
    """Hear of every change of a file or a name, as long as the process lives."""

    # Files that are known by number only are told without a name.
    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            changes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if flags else mode
            if not isinstance(path, str | bytes | os.PathLike) or not changes:
                return
        elif event in _CHANGES:
            path = arguments[0]
        else:
            return
        name = os.fspath(path) if not isinstance(path, int) else ""
        text = name.decode(errors="replace") if isinstance(name, bytes) else name
        place = _place_of(text)
        if place is not None:
            hit.come_by(place)

    sys.addaudithook(hear)


def _place_of(path: str) -> str | None:
    if "/checkpoints/" in path or path.endswith("/checkpoints"):
        return CHECKPOINT
    name = path.rpartition("/")[2].lstrip(".")
    return REPORT if name.startswith(_RESULTS) else None


def watch_engine(hit: Hit) -> None:
    """Hear of evaluations, and of what happens between two steps."""
    import tlf.engine.stepping as engine

    evaluate, begin, check = engine.head_logits, FreezeContract.begin, FreezeContract.check

    def evaluates(*arguments: Any) -> Any:
        hit.come_by(EVALUATION)
        return evaluate(*arguments)

    def begins(*arguments: Any) -> Any:
        hit.come_by(STEP)
        return begin(*arguments)

    def checks(*arguments: Any) -> Any:
        hit.come_by(STEP)
        return check(*arguments)

    engine.head_logits = evaluates
    FreezeContract.begin = begins  # type: ignore[method-assign]
    FreezeContract.check = checks  # type: ignore[method-assign]
