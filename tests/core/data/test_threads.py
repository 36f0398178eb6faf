"""Results come in order, a bound holds what is under way, and nothing is left running."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tlf.data.threads import ThreadPool, core_count, ordered_results, start_threads


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_the_order_of_the_items(workers):
    pool = ThreadPool(workers)
    assert list(pool.map(lambda number: number**2, range(50))) == [n**2 for n in range(50)]
    assert list(pool.map(str, [])) == []


def test_without_workers_the_calling_thread_does_the_work():
    found = list(ThreadPool(0).map(lambda _: threading.current_thread(), range(3)))
    assert set(found) == {threading.current_thread()}


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_where_its_result_would_come(workers):
    results = ThreadPool(workers).map(lambda number: 1 // number, [1, 1, 0, 1])
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_more_than_agreed_is_computed_in_advance():
    asked = []

    def items():
        for number in range(20):
            asked.append(number)
            yield number

    with ThreadPoolExecutor(1) as executor:
        results = ordered_results(executor, str, items(), ahead=3)
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

    with ThreadPoolExecutor(1) as executor:
        results = ordered_results(executor, work, range(20), ahead=5)
        assert next(results) == 0
        results.close()
        gate.set()
    assert set(begun) <= {0, 1}


def test_each_thread_computes_alone_and_no_other_thread_is_changed():
    before = torch.get_num_threads()
    with start_threads(3) as executor:
        found = list(executor.map(lambda _: torch.get_num_threads(), range(6)))
    assert set(found) == {1}
    assert torch.get_num_threads() == before


def test_there_are_as_many_workers_as_cores_by_default():
    assert ThreadPool(None).workers == core_count()
    assert 1 <= core_count() <= (os.cpu_count() or 1)
