"""In which order runs are carried out, and what happens to those that cannot be."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tlf.engine.comparing import schedule
from tlf.engine.comparing.cells import Cell
from tlf.engine.comparing.grid import PlannedCell
from tlf.engine.comparing.schedule import Clock, Watcher, carry_out
from tlf.errors import DataError
from tlf.spec import RawSpec

RAW = RawSpec({}, Path(), None, "{}")
RUNS = [
    PlannedCell(variant, seed, RAW, f"{variant}-{seed}") for seed in (0, 1) for variant in (0, 1)
]


def test_without_a_limit_there_is_always_time():
    assert Clock(None).has_time(RUNS[0])


def test_a_run_is_not_begun_that_took_longer_than_what_is_left():
    clock = Clock(100.0)
    clock.finished(Cell(0, 0, total_seconds=20.0))
    clock.finished(Cell(0, 1, total_seconds=101.0))
    clock.finished(Cell(1, 0, total_seconds=5.0))
    assert [clock.has_time(one) for one in RUNS[:2]] == [False, True]


def test_runs_go_one_after_the_other_in_this_process(monkeypatch, tmp_path):
    done = []

    def run(planned, folder, listener):
        done.append((planned.variant, planned.seed, folder))
        return Cell(planned.variant, planned.seed)

    monkeypatch.setattr(schedule, "run_cell", run)
    found = carry_out(RUNS, tmp_path, jobs=1, clock=Clock(None), watcher=Watcher(), same_data=True)
    assert done == []
    assert [(cell.variant, cell.seed) for cell in found] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert done == [(0, 0, tmp_path), (1, 0, tmp_path), (0, 1, tmp_path), (1, 1, tmp_path)]


def test_images_that_cannot_be_read_end_all_runs_only_where_all_have_the_same(
    monkeypatch, tmp_path
):
    def run(planned, folder, listener):
        if planned.variant == 0:
            raise DataError("no images")
        return Cell(planned.variant, planned.seed)

    monkeypatch.setattr(schedule, "run_cell", run)
    shared = {"jobs": 1, "clock": Clock(None), "watcher": Watcher()}
    with pytest.raises(DataError, match="no images"):
        list(carry_out(RUNS, tmp_path, **shared, same_data=True))
    found = list(carry_out(RUNS, tmp_path, **shared, same_data=False))
    assert [cell.error for cell in found] == ["no images", None, "no images", None]


def test_where_there_is_no_time_for_one_there_is_none_for_those_behind_it(monkeypatch, tmp_path):
    def run(planned, folder, listener):
        return Cell(
            planned.variant, planned.seed, total_seconds=1e6 if planned.variant == 0 else 0.0
        )

    clock = Clock(1000.0)
    monkeypatch.setattr(schedule, "run_cell", run)
    done = []
    shared = {"jobs": 1, "clock": clock, "watcher": Watcher(), "same_data": True}
    for cell in carry_out(RUNS, tmp_path, **shared):
        clock.finished(cell)
        done.append((cell.variant, cell.seed))
    assert done == [(0, 0), (1, 0)]


@pytest.mark.parametrize(
    ("jobs", "shares"), [(2, [{0, 2, 4}, {1, 3}]), (5, [{0}, {1}, {2}, {3}, {4}])]
)
def test_every_process_has_its_share_of_the_cores(monkeypatch, jobs, shares):
    monkeypatch.setattr(schedule.os, "sched_getaffinity", lambda _: set(range(5)), raising=False)
    assert [schedule._share(number, jobs) for number in range(jobs)] == shares
    assert schedule._share(6, 7) == {1}


#: A worker that answers without running anything; one of its runs ends it, one prints beside.
FAKE = """
import json, os, sys
for line in sys.stdin:
    wanted = json.loads(line)
    if (wanted["variant"], wanted["seed"]) == (1, 0):
        os.kill(os.getpid(), 9)
    cell = {"seed": wanted["seed"], "directory": str(os.getpid())}
    print(json.dumps({"cell": cell, "warnings": ["hm"] if wanted["seed"] else []}), flush=True)
"""


@pytest.fixture
def fake_worker(monkeypatch):
    real = subprocess.Popen
    started = []

    def start(command, **options):
        started.append(real([sys.executable, "-c", FAKE], **options))
        return started[-1]

    monkeypatch.setattr(schedule.subprocess, "Popen", start)
    return started


def test_a_process_that_dies_is_a_run_that_failed_and_the_others_go_on(fake_worker, tmp_path):
    heard = []

    class Hearing(Watcher):
        def started(self, planned):
            listener = super().started(planned)
            listener.warning = lambda message: heard.append((planned.variant, message))
            return listener

    found = list(
        carry_out(RUNS, tmp_path, jobs=2, clock=Clock(None), watcher=Hearing(), same_data=True)
    )
    assert {(cell.variant, cell.seed) for cell in found} == {(0, 0), (1, 0), (0, 1), (1, 1)}
    errors = {(cell.variant, cell.seed): cell.error for cell in found if cell.error}
    assert errors == {(1, 0): "the process that carried it out was ended by signal 9"}
    assert sorted(heard) == [(0, "hm"), (1, "hm")]
    assert all(process.poll() is not None for process in fake_worker)
    assert len(fake_worker) <= 3


def test_processes_end_with_the_comparison(fake_worker, tmp_path):
    runs = carry_out(RUNS, tmp_path, jobs=2, clock=Clock(None), watcher=Watcher(), same_data=True)
    next(runs)
    runs.close()
    assert all(process.poll() is not None for process in fake_worker)


def test_a_worker_ends_when_nobody_is_left_to_hear_it():
    busy = "import time; time.sleep(60)"
    script = (
        "import queue, threading, time\n"
        "from tlf.engine.comparing.worker import _read\n"
        "threading.Thread(target=_read, args=(queue.SimpleQueue(),), daemon=True).start()\n"
        f"print('busy', flush=True)\n{busy}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "busy\n"
        started = time.monotonic()
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - started < 5
