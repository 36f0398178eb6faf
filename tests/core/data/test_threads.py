"""Results come in order, a bound holds what is under way, and nothing is left running."""

import os
import subprocess
import sys
import threading
import weakref

import pytest
import torch

from tlf.data.threads import ThreadPool, Threads, core_count, ordered_results, start_threads


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_the_order_of_the_items(workers):
    pool = ThreadPool(workers)
    assert list(pool.map(lambda number: number**2, range(50), str)) == [n**2 for n in range(50)]
    assert list(pool.map(str, [], str)) == []


def test_without_workers_nothing_is_done_before_it_is_asked_for():
    begun = []
    results = ThreadPool(0).map(begun.append, range(3), str)
    assert begun == []
    for number in range(3):
        next(results)
        assert begun == list(range(number + 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_where_its_result_would_come(workers):
    results = ThreadPool(workers).map(lambda number: 1 // number, [1, 1, 0, 1], str)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_more_than_agreed_is_computed_in_advance():
    asked = []

    def items():
        for number in range(20):
            asked.append(number)
            yield number

    results = ordered_results(Threads(1), str, items(), ahead=3)
    assert next(results) == "0"
    assert len(asked) == 4
    assert next(results) == "1"
    assert len(asked) == 5
    results.close()
    assert len(asked) == 5


def test_what_has_not_begun_is_dropped_at_the_end():
    gate = threading.Event()
    begun = []

    def work(number):
        begun.append(number)
        if number == 1:
            gate.wait(10)
        return number

    threads = Threads(1)
    results = ordered_results(threads, work, range(20), ahead=5)
    assert next(results) == 0
    results.close()
    gate.set()
    # The only thread comes to this once it is done with all the others.
    threads.submit(str).result(10)
    assert set(begun) <= {0, 1}


def test_each_thread_computes_alone_and_no_other_thread_is_changed():
    before = torch.get_num_threads()
    threads = start_threads(3)
    found = [threads.submit(torch.get_num_threads).result(10) for _ in range(6)]
    assert set(found) == {1}
    assert torch.get_num_threads() == before


def test_there_are_as_many_workers_as_cores_by_default():
    assert ThreadPool(None).workers == core_count()
    assert 1 <= core_count() <= (os.cpu_count() or 1)


def test_threads_end_with_the_last_reference_to_them():
    before = set(threading.enumerate())
    threads = Threads(3)
    working = set(threading.enumerate()) - before
    assert len(working) == 3
    del threads
    for thread in working:
        thread.join(10)
        assert not thread.is_alive()


def test_a_thread_keeps_no_result_that_has_been_taken():
    class Result:
        pass

    threads = Threads(1)
    result = threads.submit(Result).result(10)
    threads.submit(str).result(10)
    gone = weakref.ref(result)
    del result
    assert gone() is None


@pytest.mark.parametrize("ending", ["", "raise SystemExit(2)", "raise KeyboardInterrupt"])
def test_a_thread_that_is_blocked_for_ever_does_not_keep_the_process_from_ending(ending):
    script = f"""
import os
from tlf.data import threads
threads.PARTING_SECONDS = 0.05
blocked = threads.start_threads(2)
blocked.submit(os.read, os.pipe()[0], 1)
{ending}
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], timeout=60, capture_output=True, check=False
    )
    assert ended.returncode == {"": 0, "raise SystemExit(2)": 2}.get(ending, -2)


def test_what_threads_are_doing_is_finished_before_the_process_ends(tmp_path):
    script = """
import sys, threading, time
from pathlib import Path
from tlf.data import threads
begun = threading.Event()
def work():
    begun.set()
    time.sleep(0.1)
    Path(sys.argv[1]).touch()
working = threads.start_threads(1)
working.submit(work)
begun.wait(10)
"""
    subprocess.run([sys.executable, "-c", script, tmp_path / "done"], timeout=60, check=True)
    assert (tmp_path / "done").exists()
