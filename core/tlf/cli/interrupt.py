"""Ctrl-C that works at once, even while torch is busy in a long computation."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

#: How long a run may take to stop by itself, in seconds.
GRACE_SECONDS = 1.2


@contextlib.contextmanager
def prompt_interrupt(kept: Sequence[str] = ()) -> Iterator[None]:
    """End the process soon after Ctrl-C, whatever it is doing.

    Python raises `KeyboardInterrupt` between two instructions, and a backward pass is one that can
    take many seconds. The system tells a watching thread of the signal at once; if the run has not
    stopped by itself soon after, the thread ends the process. That is safe at any time: every file of
    a run is written beside its place and renamed, or is a list of lines.

    Args:
        kept: What to say on standard error before the process is ended; may be filled meanwhile.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    done = threading.Event()
    threading.Thread(target=_watch, args=(reader, done, kept), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(previous)
        os.close(writer)


def _watch(reader: int, done: threading.Event, kept: Sequence[str]) -> None:
    with open(reader, "rb", buffering=0) as pipe:
        while byte := pipe.read(1):
            if byte[0] == signal.SIGINT and not done.wait(GRACE_SECONDS):
                if "tlf.engine.directory" in sys.modules:
                    sys.modules["tlf.engine.directory"].remove_unpublished()
                # A live line has hidden the cursor.
                cursor = "\x1b[?25h" if os.isatty(2) else ""
                text = "\n".join([cursor, "stopped", *kept, ""])
                # Not through `sys.stderr`: the busy thread may hold its lock.
                with contextlib.suppress(OSError):
                    os.write(2, text.encode(errors="surrogateescape"))
                os._exit(130)
