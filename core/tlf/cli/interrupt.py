"""Ctrl-C and SIGTERM: a run in training saves its state and leaves, anything else ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from tlf.errors import RunInterrupted, RunTerminated, Terminated

#: How long a command may take to stop by itself, in seconds.
GRACE_SECONDS = 1.2

#: How long a run may take to finish its batch and to save its state, in seconds: less than what batch
#: systems and containers wait between SIGTERM and SIGKILL, which is 30 seconds or more.
SAVING_SECONDS = 25.0

#: What each signal ends a run with.
_ENDS: dict[int, type[RunInterrupted]] = {
    signal.SIGINT: RunInterrupted,
    signal.SIGTERM: RunTerminated,
}


class StopRequest:
    """Whether a run is to save its state and leave.

    Attributes:
        can_wait: Whether the run is where it can save its state soon.
        asked: Who asks it to; None if nobody does.
    """

    def __init__(self) -> None:
        self.can_wait = False
        self.asked: type[RunInterrupted] | None = None

    def take(self, number: int) -> bool:
        """Take note of a signal, and say whether the run will see to it: the first time, if it can.

        Args:
            number: Of the signal.
        """
        if self.asked is not None or not self.can_wait:
            return False
        self.asked = _ENDS[number]
        return True


@contextlib.contextmanager
def prompt_interrupt(
    kept: Sequence[str] = (), request: StopRequest | None = None
) -> Iterator[None]:
    """End the process soon after Ctrl-C, whatever it is doing.

    Python raises `KeyboardInterrupt` between two instructions, and a backward pass is one that can
    take many seconds. The system tells a watching thread of the signal at once; if the command has not
    stopped by itself soon after, the thread ends the process. That is safe at any time: every file of
    a run is written beside its place and renamed, or is a list of lines.

    Args:
        kept: What to say on standard error before the process is ended; may be filled meanwhile.
        request: Of a run that can save its state. The first signal is left to it; SIGTERM counts as
            one, too.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    ending = _Ending(kept, request)
    threading.Thread(target=_watch, args=(reader, ending), daemon=True).start()
    handlers = {} if request is None else _handle(request)
    try:
        yield
    finally:
        ending.call_off()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous)
        os.close(writer)


def _handle(request: StopRequest) -> dict[int, signal.Handlers | None]:
    """Let a request hear of the signals first, and return who heard of them before."""

    def hear(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the system's
        if not request.take(number):
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    # Who has told the system to pass over a signal, as `nohup` and shells do, means it.
    heard = [number for number in _ENDS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, hear) for number in heard}  # type: ignore[misc]


class _Ending:
    """Ends the process some time after a signal, unless that is called off."""

    def __init__(self, kept: Sequence[str], request: StopRequest | None) -> None:
        self._kept = kept
        self._request = request
        self._timers: list[threading.Timer] = []
        self._lock = threading.Lock()
        self._is_off = False

    def prepare(self, number: int) -> None:
        """Give the process its time from now on.

        Args:
            number: Of the signal.
        """
        request = self._request
        with self._lock:
            if self._is_off:
                return
            # Python's own handler may have run already, or not yet.
            waits = request is not None and request.can_wait and not self._timers
            seconds = SAVING_SECONDS if waits else GRACE_SECONDS
            timer = threading.Timer(seconds, self._end, [_ENDS[number].exit_code])
            timer.daemon = True
            self._timers.append(timer)
            timer.start()
        if waits:
            self._say(["", "saving the state of the run (Ctrl-C again leaves at once)", ""])

    def call_off(self) -> None:
        """Let the process live, also if it has had a signal that this one has not heard of yet."""
        with self._lock:
            self._is_off = True
            for timer in self._timers:
                timer.cancel()

    def _end(self, code: int) -> None:
        with self._lock:
            if self._is_off:
                return
        # Whoever is terminated comes back to it.
        if code == RunInterrupted.exit_code and "tlf.engine.directory" in sys.modules:
            sys.modules["tlf.engine.directory"].remove_unfinished()
        # A live line has hidden the cursor.
        cursor = "\x1b[?25h" if os.isatty(2) else ""
        self._say([cursor, "stopped", *self._kept, ""])
        os._exit(code)

    def _say(self, lines: Sequence[str]) -> None:
        # Not through `sys.stderr`: the busy thread may hold its lock.
        with contextlib.suppress(OSError):
            os.write(2, "\n".join(lines).encode(errors="surrogateescape"))


def _watch(reader: int, ending: _Ending) -> None:
    with open(reader, "rb", buffering=0) as pipe:
        while byte := pipe.read(1):
            if byte[0] in _ENDS:
                ending.prepare(byte[0])
