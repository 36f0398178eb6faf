"""Keeps PIL's warnings about odd files from the user, to whom the audit speaks instead."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# PIL logs some of it. Without any handler, Python prints what is logged as an error.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_lock = threading.Lock()
_users = 0
_entries: list[object] = []


@contextmanager
def pil_warnings_ignored() -> Iterator[None]:
    """Ignore warnings that PIL's modules raise, in all threads, until the last user is done.

    `warnings.catch_warnings` swaps the process's whole list of filters, and two threads that do it
    at once may leave the wrong one behind. Here one entry is added and taken away again.
    """
    global _users  # noqa: PLW0603 - the list of filters is the process's, and so is the count
    with _lock:
        if _users == 0:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _entries.append(warnings.filters[0])
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                entry = _entries.pop()
                warnings.filters = [found for found in warnings.filters if found is not entry]
