"""Carrying out the runs of a comparison: in this process or in several, while there is time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Self

from tlf.data.threads import core_count
from tlf.engine.comparing.cells import Cell, failed_cell, run_cell
from tlf.engine.comparing.grid import PlannedCell
from tlf.engine.comparing.worker import order
from tlf.engine.listener import Listener
from tlf.errors import DataError

#: How long a process is given to clean up after a run that is stopped, in seconds.
GRACE_SECONDS = 5.0


class Clock:
    """Says whether there is time for another run.

    Args:
        limit: Seconds for all runs, or None for as many as they take.
    """

    def __init__(self, limit: float | None) -> None:
        self._end = None if limit is None else time.monotonic() + limit
        self._longest: dict[int, float] = {}

    def finished(self, cell: Cell) -> None:
        """Remember how long a run took.

        Args:
            cell: The run.
        """
        longest = max(self._longest.get(cell.variant, 0.0), cell.total_seconds or 0.0)
        self._longest[cell.variant] = longest

    def has_time(self, planned: PlannedCell) -> bool:
        """Say whether a run can be expected to end in time.

        Args:
            planned: The run. Of a variant that has not run yet it is assumed that it will.
        """
        return (
            self._end is None
            or time.monotonic() + self._longest.get(planned.variant, 0.0) < self._end
        )


class Watcher:
    """Hears about the runs of a comparison. Each method does nothing by default."""

    def compared(self, rows: Sequence[str], runs: int, directory: Path) -> None:
        """The comparison begins.

        Args:
            rows: What the rows are called, in order.
            runs: How many runs there will be.
            directory: The comparison's directory.
        """

    def started(self, planned: PlannedCell) -> Listener:  # noqa: ARG002 - for those that override it
        """A run begins. With several jobs the listener hears its warnings only.

        Args:
            planned: The run.
        """
        return Listener()

    def warning(self, message: str) -> None:
        """Something of the comparison as a whole that the user should know did not go as usual."""

    def finished(self, cell: Cell) -> None:
        """A run is over, or was found finished.

        Args:
            cell: What came of it.
        """


def carry_out(
    planned: Sequence[PlannedCell],
    folder: Path,
    *,
    jobs: int,
    clock: Clock,
    watcher: Watcher,
    same_data: bool,
) -> Iterator[Cell]:
    """Carry out runs, and yield each as it ends.

    Args:
        planned: The runs, in order. The first that there is no time for ends them: rows are to have
            as many runs as any other.
        folder: The comparison's directory.
        jobs: How many at once. With one, in this process.
        clock: Says when there is no time for more.
        watcher: Hears about them.
        same_data: Whether all runs have the same images. What one cannot read none can, then.

    Raises:
        DataError: The images cannot be used, and all runs have the same.
        RunInterrupted: The user has stopped it.
    """
    with _Workers(jobs) if jobs > 1 else _Here() as runner:
        running: dict[Future[Cell], PlannedCell] = {}
        left = list(planned)
        is_first = True
        while left or running:
            # The first one alone: it leaves decoded images and features for those that follow.
            while left and len(running) < (1 if is_first else jobs):
                if not clock.has_time(left[0]):
                    left.clear()
                    break
                one = left.pop(0)
                running[runner.start(one, folder, watcher)] = one
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            is_first = False
            for future in done:
                one = running.pop(future)
                try:
                    cell = future.result()
                except DataError as error:
                    if same_data:
                        raise
                    cell = failed_cell(one, str(error))
                yield cell


class _Here:
    """Carries out runs in this process, one after the other."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def start(self, planned: PlannedCell, folder: Path, watcher: Watcher) -> Future[Cell]:
        """Carry out a run.

        Args:
            planned: The run.
            folder: The comparison's directory.
            watcher: Gives who hears about it.
        """
        future: Future[Cell] = Future()
        try:
            future.set_result(run_cell(planned, folder, watcher.started(planned)))
        except DataError as error:
            future.set_exception(error)
        return future


class _Workers:
    """Processes that carry out runs; as many as jobs, each with its share of the cores."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool = ThreadPoolExecutor(jobs)
        self._idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[str]] = []
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            # It ends by itself when nothing more can come.
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
        for process in self._all:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self._pool.shutdown(wait=True)

    def start(self, planned: PlannedCell, folder: Path, watcher: Watcher) -> Future[Cell]:
        """Let a process carry out a run.

        Args:
            planned: The run.
            folder: The comparison's directory.
            watcher: Hears that it begins, and its warnings.
        """
        return self._pool.submit(self._ask, planned, folder, watcher.started(planned).warning)

    def _ask(self, planned: PlannedCell, folder: Path, warn: Callable[[str], None]) -> Cell:
        process = self._take()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order(planned, folder)) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
            return failed_cell(planned, f"the process that carried it out {how}")
        self._idle.put(process)
        answer = json.loads(line)
        for message in answer["warnings"]:
            warn(message)
        if "data_error" in answer:
            raise DataError(answer["data_error"], hint=answer["hint"])
        return Cell(variant=planned.variant, **answer["cell"])

    def _take(self) -> subprocess.Popen[str]:
        """Return a process that waits for work; a new one where none does."""
        with suppress(queue.Empty):
            while True:
                process = self._idle.get_nowait()
                if process.poll() is None:
                    return process
        with self._lock:
            if self._closed:
                raise KeyboardInterrupt
            cores = _share(len(self._all), self._jobs)
            environment = {"OMP_NUM_THREADS": str(len(cores)), **os.environ}
            process = subprocess.Popen(
                # Without -P, Python would first look for every module in the current folder.
                [sys.executable, "-P", "-m", "tlf.engine.comparing.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
                encoding="utf-8",
                # Ctrl-C reaches this process alone, which closes their input.
                start_new_session=True,
            )
            if hasattr(os, "sched_setaffinity"):
                # Before it has begun: all its threads, those that decode too, keep to its share.
                with suppress(OSError):
                    os.sched_setaffinity(process.pid, cores)
            self._all.append(process)
        return process


def _share(number: int, jobs: int) -> set[int]:
    """Return the cores of one of several processes; with more processes than cores, one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = cores or list(range(core_count()))
    return set(cores[number % jobs :: jobs]) or {cores[number % len(cores)]}
