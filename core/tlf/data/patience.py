"""How long anybody waits for an item that is being read, and what is said meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tlf.errors import DataError, PluginError, RunError

ResultT = TypeVar("ResultT")

#: How often whoever waits looks what it is that is waited for, in seconds.
LOOK_SECONDS = 1.0

#: After so many seconds of waiting it is said which item is being read.
SLOW_SECONDS = 60.0

#: After so many seconds of waiting an item is given up, unless the spec says otherwise.
TIMEOUT_SECONDS = 600.0


@dataclass(eq=False)
class _Reading:
    name: str
    waited: float = 0.0
    told: bool = False


class Patience:
    """Knows which items are being read, so that whoever waits for one can say for which.

    What counts is for how long somebody has waited, look by look, not what a clock says: a computer
    that was asleep has not waited, and its files are not slow.

    Args:
        timeout_seconds: How long to wait for an item; None for as long as it takes.
        warn: Hears once of each item that takes long, in the thread that waits.
    """

    def __init__(
        self,
        timeout_seconds: float | None = TIMEOUT_SECONDS,
        warn: Callable[[str], object] | None = None,
    ) -> None:
        self._timeout = timeout_seconds
        self._warn = warn
        self._lock = threading.Lock()
        self._readings: set[_Reading] = set()

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Note that this thread reads an item, and name the item where the thread would die of it.

        Args:
            name: Of the item.

        Raises:
            RunError: There is not enough memory for it.
            PluginError: The data source wants to end the process.
        """
        entry = _Reading(name)
        with self._lock:
            self._readings.add(entry)
        try:
            yield
        except MemoryError as error:
            raise RunError(
                f"there is not enough memory to read `{name}`",
                hint="make the image smaller, or read fewer at once: see `training.workers`",
            ) from error
        except Exception:
            raise
        except BaseException as error:
            raise PluginError(
                f"reading `{name}` ends with {type(error).__name__}",
                hint="this is a fault of the data source's or the transform's plugin",
            ) from error
        finally:
            with self._lock:
                self._readings.remove(entry)

    def result(self, future: Future[ResultT]) -> ResultT:
        """Return what a thread makes, and look from time to time what keeps it.

        Args:
            future: What the thread makes.

        Raises:
            DataError: It has been waited too long for items that are being read.
        """
        while True:
            try:
                return future.result(LOOK_SECONDS)
            except TimeoutError:
                # What the thread itself raises may be such an error too.
                if future.done():
                    return future.result()
            self._look()

    def _look(self) -> None:
        with self._lock:
            for entry in self._readings:
                entry.waited += LOOK_SECONDS
            slow = sorted(
                (entry for entry in self._readings if entry.waited >= SLOW_SECONDS),
                key=lambda entry: entry.name,
            )
            late = [
                entry.name
                for entry in self._readings
                if self._timeout is not None and entry.waited >= self._timeout
            ]
        if late:
            raise self._too_late(sorted({*late, *(entry.name for entry in slow)}))
        for entry in slow:
            if not entry.told and self._warn is not None:
                self._warn(f"still reading `{entry.name}` after {SLOW_SECONDS:g} s")
            entry.told = True

    def _too_late(self, names: list[str]) -> DataError:
        after = f"still being read after {self._timeout:g} s"
        if len(names) == 1:
            message = f"`{names[0]}` is {after}"
        else:
            lines = [f"{len(names)} images are {after}", *(f"  `{name}`" for name in names)]
            message = "\n".join(lines)
        return DataError(
            message,
            hint="see whether the disk or the network share that holds it answers; "
            "`data.timeout_seconds` says how long to wait, null for as long as it takes",
        )
