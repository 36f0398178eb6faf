"""Parts of a test in a process of their own, which may be killed; as cheap as they can be."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: How long a process may take, in seconds: a run that hangs is a failure.
PATIENCE = 120.0


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        killed: Whether SIGKILL has ended it.
        code: What it has returned; None if a signal ended it.
        said: What it has written to standard output and error.
    """

    killed: bool
    code: int | None
    said: str


def in_child(
    work: Callable[[], object], log: Path, meanwhile: Callable[[int], None] = lambda _: None
) -> Ended:
    """Carry something out in a fork of this process, and wait for its end.

    A fork has everything imported already, so that hundreds of them take minutes. This process must
    not have computed with torch in several threads.

    Args:
        work: What to carry out.
        log: Gets what it says.
        meanwhile: Called with the number of the process; may kill it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _work(work, log)
    meanwhile(child)
    end = time.monotonic() + PATIENCE
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"a process hung for {PATIENCE:g} s:\n{_read(log)}")
        time.sleep(0.002)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    return Ended(killed, code, _read(log))


def _work(work: Callable[[], object], log: Path) -> None:
    code = 1
    try:
        number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(number, 1)
        os.dup2(number, 2)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may get out of a fork of a test
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""
