"""Work in threads: results in order, a bound on what is under way, a prompt end."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class ThreadPool:
    """Threads that decode images.

    Args:
        workers: How many; 0 for none (the calling thread does the work), None for one per core.
    """

    def __init__(self, workers: int | None) -> None:
        self.workers = core_count() if workers is None else workers
        self._executor: ThreadPoolExecutor | None = None

    def map(
        self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]
    ) -> Generator[ResultT]:
        """Yield the function's results in the order of the items.

        Whatever ends the iteration, an error or Ctrl-C too, what has not begun is dropped.

        Args:
            function: Runs in a thread.
            items: Its arguments.
        """
        if self.workers == 0:
            return (function(item) for item in items)
        if self._executor is None:
            self._executor = start_threads(self.workers)
        # Enough to keep every thread busy while the caller is, and no more: results take memory.
        return ordered_results(self._executor, function, items, ahead=4 * self.workers)


def ordered_results(
    executor: ThreadPoolExecutor,
    function: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    *,
    ahead: int,
) -> Generator[ResultT]:
    """Yield results in the order of the items, computing at most `ahead` of them in advance.

    Args:
        executor: Where the function runs.
        function: What to run.
        items: Its arguments.
        ahead: How many results may wait or be under way beside the one that is yielded.
    """
    remaining = iter(items)
    waiting: deque[Future[ResultT]] = deque()
    try:
        waiting.extend(executor.submit(function, item) for item in islice(remaining, ahead + 1))
        while waiting:
            result = waiting.popleft().result()
            yield result
            waiting.extend(executor.submit(function, item) for item in islice(remaining, 1))
    finally:
        for future in waiting:
            future.cancel()


def start_threads(count: int) -> ThreadPoolExecutor:
    """Return an executor whose threads run and use one core each for torch's operations.

    Otherwise each of them would bring its own team of threads, as many as there are cores, and they
    would keep the cores from the network.

    Args:
        count: How many threads, at least 1.
    """
    threads = torch.get_num_threads()
    executor = ThreadPoolExecutor(count, "tlf-data", _take_one_core)
    everyone = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            executor.submit(everyone.wait)
        everyone.wait()
    except BaseException:
        # Ctrl-C here would leave threads waiting for one that never comes.
        everyone.abort()
        raise
    # The number is each thread's own, but torch gives the last one set to threads yet to be born.
    torch.set_num_threads(threads)
    return executor


def _take_one_core() -> None:
    # At a thread's first question torch gives it the number for new threads, so that comes first.
    torch.get_num_threads()
    torch.set_num_threads(1)


def core_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
