"""Work in threads: results in order, a bound on what is under way, a prompt end."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from tlf.data.patience import Patience

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

#: How long the end of the process waits for threads that are busy, in seconds.
PARTING_SECONDS = 2.0

_Work = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]

#: The threads that are alive, each with where it takes its work from.
_alive: weakref.WeakKeyDictionary[threading.Thread, SimpleQueue[_Work | None]] = (
    weakref.WeakKeyDictionary()
)


class Threads:
    """Threads that end with the last reference to this.

    Unlike those of `concurrent.futures`, they do not keep the process from ending: one may wait for a
    network share that never answers.

    Args:
        count: How many, at least 1.
    """

    def __init__(self, count: int) -> None:
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self.end = weakref.finalize(self, _dismiss, self._work, count)
        self.end.atexit = False
        for number in range(count):
            name = f"tlf-data-{number}"
            thread = threading.Thread(target=_serve, args=(self._work,), name=name, daemon=True)
            thread.start()
            _alive[thread] = self._work

    def submit(self, function: Callable[..., ResultT], *arguments: object) -> Future[ResultT]:
        """Let a thread call a function when one is free.

        Args:
            function: What to call.
            arguments: With what.
        """
        future: Future[ResultT] = Future()
        self._work.put((future, function, arguments))
        return future


class ThreadPool:
    """Threads that decode images.

    Args:
        workers: How many, None for one per core; with 0, one that does nothing in advance.
        patience: How long to wait for an item.
    """

    def __init__(self, workers: int | None, patience: Patience | None = None) -> None:
        self.workers = core_count() if workers is None else workers
        self._patience = patience or Patience()
        self._threads: Threads | None = None

    def map(
        self,
        function: Callable[[ItemT], ResultT],
        items: Iterable[ItemT],
        name: Callable[[ItemT], str],
    ) -> Generator[ResultT]:
        """Yield the function's results in the order of the items.

        Whatever ends the iteration, an error or Ctrl-C too, what has not begun is dropped.

        Args:
            function: Runs in a thread, so that the calling one can say for what it waits.
            items: Its arguments.
            name: What an item is called.

        Raises:
            DataError: It has been waited too long for an item.
        """
        if self._threads is None:
            self._threads = start_threads(max(1, self.workers))

        def work(item: ItemT) -> ResultT:
            with self._patience.reading(name(item)):
                return function(item)

        # Enough to keep every thread busy while the caller is, and no more: results take memory.
        ahead = 4 * self.workers
        return ordered_results(self._threads, work, items, ahead=ahead, wait=self._patience.result)


def ordered_results(
    threads: Threads,
    function: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    *,
    ahead: int,
    wait: Callable[[Future[ResultT]], ResultT] = Future.result,
) -> Generator[ResultT]:
    """Yield results in the order of the items, computing at most `ahead` of them in advance.

    Args:
        threads: Where the function runs.
        function: What to run.
        items: Its arguments.
        ahead: How many results may wait or be under way beside the one that is yielded.
        wait: Returns the result of a thread.
    """
    remaining = iter(items)
    waiting: deque[Future[ResultT]] = deque()
    try:
        waiting.extend(threads.submit(function, item) for item in islice(remaining, ahead + 1))
        while waiting:
            yield wait(waiting.popleft())
            waiting.extend(threads.submit(function, item) for item in islice(remaining, 1))
    finally:
        for future in waiting:
            future.cancel()


def start_threads(count: int) -> Threads:
    """Return threads that run, and use one core each for torch's operations.

    Otherwise each of them would bring its own team of threads, as many as there are cores, and they
    would keep the cores from the network.

    Args:
        count: How many threads, at least 1.
    """
    number = torch.get_num_threads()
    threads = Threads(count)
    everyone = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            threads.submit(everyone.wait)
        everyone.wait()
    except BaseException:
        # Ctrl-C here would leave threads waiting for one that never comes.
        everyone.abort()
        raise
    # The number is each thread's own, but torch gives the last one set to threads yet to be born.
    torch.set_num_threads(number)
    return threads


def _serve(work: SimpleQueue[_Work | None]) -> None:
    _take_one_core()
    while (piece := work.get()) is not None:
        _carry_out(*piece)
        # While the thread waits for the next one, it must not keep the last one's result.
        del piece


def _carry_out(
    future: Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*arguments)
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
        future.set_exception(error)
    else:
        future.set_result(result)
    finally:
        # An error holds this frame, and a future that it holds would hold the error.
        del future


def _dismiss(work: SimpleQueue[_Work | None], count: int) -> None:
    for _ in range(count):
        work.put(None)


@atexit.register
def _part() -> None:
    """Let threads finish what they do: the interpreter must not go away below them. Not for ever."""
    until = time.monotonic() + PARTING_SECONDS
    alive = list(_alive.items())
    for _, work in alive:
        work.put(None)
    for thread, _ in alive:
        thread.join(max(0.0, until - time.monotonic()))


def _take_one_core() -> None:
    # At a thread's first question torch gives it the number for new threads, so that comes first.
    torch.get_num_threads()
    torch.set_num_threads(1)


def core_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
