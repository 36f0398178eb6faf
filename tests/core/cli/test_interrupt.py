import signal
import subprocess
import sys
import time

import pytest

from tlf.cli.interrupt import StopRequest, _Ending, prompt_interrupt
from tlf.errors import RunTerminated, Terminated

BUSY = """
import signal, threading
from tlf.cli.interrupt import prompt_interrupt
signal.signal(signal.SIGINT, lambda number, frame: None)
with prompt_interrupt(["the plan is kept in `runs/small`"]):
    print("busy", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def busy():
    """A process that does not hear of signals, as in the middle of a long computation."""
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "busy\n"
        yield process
        process.kill()


def test_a_process_that_hears_nothing_is_ended_within_two_seconds(busy):
    started = time.monotonic()
    busy.send_signal(signal.SIGINT)
    _, err = busy.communicate(timeout=30)
    assert time.monotonic() - started < 2
    assert busy.returncode == 130
    assert err == "\nstopped\nthe plan is kept in `runs/small`\n"


HALF_MADE = """
import signal, sys, threading
from pathlib import Path
from tlf.cli.interrupt import prompt_interrupt
from tlf.engine.directory import RunDirectory
signal.signal(signal.SIGINT, lambda number, frame: None)
with prompt_interrupt(), RunDirectory(Path(sys.argv[1]), "run"):
    print("busy", flush=True)
    threading.Event().wait()
"""


def test_a_run_directory_without_a_name_is_removed_when_the_process_is_ended(tmp_path):
    command = [sys.executable, "-c", HALF_MADE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "busy\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert list(tmp_path.iterdir()) == []


def test_python_hears_of_the_signal_as_ever():
    with pytest.raises(KeyboardInterrupt), prompt_interrupt():
        signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_heard_of_too_late_ends_nothing(monkeypatch):
    monkeypatch.setattr("tlf.cli.interrupt.GRACE_SECONDS", 0.0)
    ending = _Ending((), None)
    ending.call_off()
    ending.prepare(signal.SIGINT)
    assert ending._timers == []


def test_the_first_signal_is_left_to_a_run_that_can_wait():
    request = StopRequest()
    assert not request.take(signal.SIGINT)
    request.can_wait = True
    assert request.take(signal.SIGTERM)
    assert request.asked is RunTerminated
    assert not request.take(signal.SIGINT)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_that_nothing_can_be_saved_after_is_an_interrupt(number, error):
    before = signal.getsignal(number)
    with pytest.raises(error), prompt_interrupt((), StopRequest()):
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_nothing_is_left_behind():
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with prompt_interrupt():
        pass
    after = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(after)
    assert after == before
