"""Processes that share a cache, and ones that die in the middle. They are forked from a helper."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .rows import DESCRIPTION, fill, is_whole, names, segments

ROOT = Path(__file__).parents[3]
COUNT = 60

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the helper forks")

HELPER = f"""
import itertools, os, signal, sys, traceback
from pathlib import Path
from tlf.cache import Cache, buffer, files, folders, segment
from tests.core.cache.rows import DESCRIPTION, is_whole, keys, rows

buffer.SEGMENT_ROWS = int(sys.argv[2])
PLACE = Path(sys.argv[1])

def build(place=PLACE):
    # Nothing is to be warned of.
    cache = Cache(place, 10**9, lambda text: os.abort())
    entry = cache.entry(DESCRIPTION)
    for start in range(0, {COUNT}, 4):
        entry.add(keys(4, start), rows(4, start))
    cache.close()

def fork(work):
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    return child

def status(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

AT_ONCE = """
reader, writer = os.pipe()

def wait_and_build():
    os.close(writer)
    os.read(reader, 1)
    build()

children = [fork(wait_and_build) for _ in range(4)]
os.close(writer)
ended = [status(child) for child in children]
assert ended == [0] * 4, ended
"""

KILLED = f"""
write_whole = files.write_whole

def build_and_die(place, last):
    moments = itertools.count()

    def moment():
        if next(moments) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(path, parts):
        def written():
            for part in map(bytes, parts):
                yield part[: len(part) // 2]
                moment()
                yield part[len(part) // 2 :]
            # All is there, but has not got its name yet.
            moment()

        write_whole(path, written())
        moment()

    segment.write_whole = folders.write_whole = write
    build(place)

def build_again(place):
    before = Cache(place, 10**9, lambda text: os.abort()).entry(DESCRIPTION)
    found, stored = before.read(keys({COUNT}))
    assert stored is None or stored.equal(rows({COUNT})[: len(stored)])
    build(place)
    assert is_whole(Cache(place, 10**9).entry(DESCRIPTION), {COUNT})

for last in itertools.count():
    place = PLACE / str(last)
    code = status(fork(lambda: build_and_die(place, last)))
    if not code:
        break
    assert code == -signal.SIGKILL, code
    assert status(fork(lambda: build_again(place))) == 0, last
assert last > 20
"""


@pytest.fixture
def carry_out(place):
    def carry_out(script, rows_at_once):
        done = subprocess.run(
            [sys.executable, "-c", HELPER + script, str(place), str(rows_at_once)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return carry_out


def test_processes_that_build_an_entry_at_once_end_with_one_good_entry(
    carry_out, open_cache, open_entry, said
):
    carry_out(AT_ONCE, 7)
    entry = open_entry()
    assert is_whole(entry, COUNT)
    assert len(entry) == COUNT
    assert len(segments(entry)) == -(-COUNT // 7)
    assert not [name for name in names(entry) if name.endswith(".tmp")]
    assert (open_cache().verify(), said) == ([], [])


def test_a_process_that_is_killed_at_any_moment_of_its_writing_leaves_a_usable_entry(carry_out):
    carry_out(KILLED, 20)


def test_an_entry_that_another_process_begins_while_it_is_opened_stays(
    monkeypatch, open_cache, open_entry, said
):
    # The other process writes just after this one has found no description.
    read_bytes = Path.read_bytes

    def read_and_be_overtaken(path):
        monkeypatch.setattr(Path, "read_bytes", read_bytes)
        try:
            return read_bytes(path)
        finally:
            other = open_cache()
            fill(other.entry(DESCRIPTION), COUNT)
            other.close()

    monkeypatch.setattr(Path, "read_bytes", read_and_be_overtaken)
    entry = open_entry()
    assert Path.read_bytes is read_bytes
    assert is_whole(entry, COUNT)
    assert (open_cache().verify(), said) == ([], [])
