"""Whatever happens to a cache before or during a run, the run computes the same bytes."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tlf.cache.segment
from tlf.cache import Cache
from tlf.cache.files import write_whole
from tlf.errors import RunInterrupted

from .runs import ALL, RESULTS

OFF = {"mode": "off"}


def cut_short(path, by=1):
    with path.open("r+b") as file:
        file.truncate(max(0, path.stat().st_size - by))


def cut_in_half(path):
    cut_short(path, path.stat().st_size // 2)


def empty(path):
    path.write_bytes(b"")


def lengthen(path):
    with path.open("ab") as file:
        file.write(b"\0")


def flip(at):
    """Return a function that changes a bit, so far into a file."""

    def flip_bit(path):
        content = bytearray(path.read_bytes())
        content[int(at * (len(content) - 1))] ^= 4
        path.write_bytes(content)

    return flip_bit


def overwrite(path):
    path.write_bytes(b"\xff" * path.stat().st_size)


#: Of the file of rows. At 0 is its header's length, at 1 the last byte of the last row.
DAMAGE = {
    "cut short": cut_short,
    "cut in half": cut_in_half,
    "empty": empty,
    "longer": lengthen,
    "another header": flip(0.0),
    "other metadata": flip(0.05),
    "another checksum or key": flip(0.2),
    "another row in the middle": flip(0.6),
    "another last row": flip(1.0),
    "other bytes": overwrite,
}


@pytest.fixture
def check_repaired(run):
    """See that runs of a spec say what is damaged, compute it again, and are rid of it."""

    def check_repaired(expected, **spec):
        repaired = run(**spec)
        assert repaired.results == expected.results
        (warning,) = repaired.warnings
        assert "damaged" in warning
        assert f"warning: {warning}" in repaired.log
        after = run(**spec)
        assert (after.results, after.warnings) == (expected.results, [])
        assert [step["rows_computed"] for step in after.steps] == [0] * len(after.steps)
        return repaired, after

    return check_repaired


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("cut", [pytest.param(3, marks=pytest.mark.slow), 5])
def test_damaged_rows_are_said_and_computed_again(
    run, force, segments, check_repaired, damage, cut
):
    force(cut)
    expected = run()
    (path,) = segments()
    damage(path)
    repaired, after = check_repaired(expected)
    assert (repaired.through, after.through) == (ALL, 0)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(40))
def test_any_bit_of_the_file_may_change(run, force, segments, check_repaired, place):
    force()
    expected = run()
    (path,) = segments()
    flip(place / 39)(path)
    check_repaired(expected)


@pytest.mark.parametrize(
    "damage",
    [
        flip(0.5),
        os.unlink,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (cut_in_half, empty, overwrite)),
    ],
)
def test_without_its_description_an_entry_is_computed_again(
    run, force, cache_directory, check_repaired, damage
):
    force()
    expected = run()
    (path,) = cache_directory.glob("entries/*/*/entry.json")
    damage(path)
    repaired, _ = check_repaired(expected)
    assert repaired.through == ALL


@pytest.mark.parametrize("cut", [3, 5])
@pytest.mark.parametrize("damaged", [0, 1])
def test_batches_of_found_and_of_computed_rows_are_those_of_an_uncached_run(
    run, force, segments, check_repaired, pictures, cut, damaged
):
    force(cut)
    options = {"train": str(pictures / "train"), "validation": str(pictures / "val")}
    uncached = run(cache=OFF)
    run(data={"options": {**options, "shots": 4}})
    first = set(segments())
    assert run().results == uncached.results
    both = [*first, *(set(segments()) - first)]
    flip(0.9)(both[damaged])
    repaired, _ = check_repaired(uncached)
    assert 0 < repaired.through < ALL
    assert repaired.steps[0]["rows_found"] > 0


@pytest.mark.parametrize("damage", [cut_in_half, flip(0.98)])
def test_damaged_images_are_said_and_decoded_again(run, force, segments, check_repaired, damage):
    force()
    spec = {"strategy": "full-fine-tuning"}
    expected = run(**spec)
    (path,) = segments()
    damage(path)
    repaired, after = check_repaired(expected, **spec)
    assert repaired.report["images_decoded"] >= ALL
    assert after.report["images_decoded"] == 0


def test_what_a_process_left_half_written_is_passed_over(run, force, segments):
    force()
    expected = run()
    (path,) = segments()
    left = path.with_name(f".{path.name}.12345.0123abcd.tmp")
    left.write_bytes(path.read_bytes()[:1000])
    again = run()
    assert (again.results, again.warnings, again.through) == (expected.results, [], 0)


@pytest.mark.parametrize(
    "damage",
    [
        flip(0.5),
        os.unlink,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (cut_in_half, empty, overwrite)),
    ],
)
def test_without_the_digests_of_files_the_files_are_read(run, force, cache_directory, damage):
    force()
    expected = run()
    path = cache_directory / "digests.sqlite"
    assert path.is_file()
    damage(path)
    again = run()
    assert (again.results, again.warnings, again.through) == (expected.results, [], 0)


@pytest.fixture
def removals(cache_directory):
    """What may become of the cache's folder while a run uses it."""

    def leave_a_file():
        shutil.rmtree(cache_directory, ignore_errors=True)
        cache_directory.parent.mkdir(exist_ok=True, parents=True)
        if not cache_directory.exists():
            cache_directory.write_text("no folder")

    def remove_rows():
        for path in cache_directory.glob("entries/*/*/*.safetensors"):
            path.unlink()

    return {
        "the folder": lambda: shutil.rmtree(cache_directory, ignore_errors=True),
        "the rows": remove_rows,
        "the entries": lambda: Cache(cache_directory, 10**9, pytest.fail).clear(),
        "a file": leave_a_file,
    }


@pytest.mark.parametrize(
    "what",
    [
        "the folder",
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in ("the rows", "the entries", "a file")
        ),
    ],
)
@pytest.mark.parametrize(
    "event", ["loading", "directory", "step_started", "batch_finished", "epoch_finished"]
)
@pytest.mark.parametrize(
    "strategy",
    [
        "gradual-unfreezing",
        pytest.param("feature-extraction", marks=pytest.mark.slow),
        pytest.param("full-fine-tuning", marks=pytest.mark.slow),
    ],
)
def test_the_cache_may_be_removed_during_a_run(
    run, force, removals, cache_directory, what, event, strategy
):
    spec = {"strategy": strategy, "training": {"views": 3}}
    uncached = run(**spec, cache=OFF)
    force(3)
    for state in ("cold", "warm"):
        if cache_directory.is_file():
            cache_directory.unlink()
        if state == "warm":
            run(**spec)
        removed = run(**spec, when={event: removals[what]})
        assert removed.results == uncached.results, state
        # Of each entry that it is damaged, and that nothing can be written.
        assert len(removed.warnings) == len(set(removed.warnings))
        assert what == "a file" or not removed.warnings
    if what != "a file":
        after = run(**spec)
        assert (after.results, after.warnings) == (uncached.results, [])


@pytest.fixture
def full_disk(monkeypatch):
    """Return a function that lets the disk be full from some file of rows on."""

    def full_disk(after=0):
        left = [after]

        def write_or_fail(path, parts):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write_whole(path, parts)

        monkeypatch.setattr(tlf.cache.segment, "write_whole", write_or_fail)

    return full_disk


@pytest.mark.parametrize(
    "strategy", ["feature-extraction", "gradual-unfreezing", "full-fine-tuning"]
)
@pytest.mark.parametrize("after", [0, 2])
def test_a_disk_that_is_full_is_said_once_and_changes_nothing(
    run, force, full_disk, monkeypatch, open_cache, strategy, after
):
    spec = {"strategy": strategy, "training": {"views": 3}}
    uncached = run(**spec, cache=OFF)
    force()
    # Some rows are written before, some are on their way, and some come after.
    monkeypatch.setattr("tlf.cache.buffer.SEGMENT_ROWS", 5)
    full_disk(after)
    full = run(**spec)
    assert full.results == uncached.results
    (warning,) = full.warnings
    assert "cannot be written (no space left on device); going on without it" in warning
    assert full.log.count("cannot be written") == 1
    assert sum(entry.rows for entry in open_cache().entries()) == 5 * after


def test_rows_that_a_full_disk_kept_out_are_stored_by_the_next_run(
    run, force, full_disk, monkeypatch
):
    force()
    monkeypatch.setattr("tlf.cache.buffer.SEGMENT_ROWS", 5)
    full_disk(2)
    full = run()
    monkeypatch.setattr(tlf.cache.segment, "write_whole", write_whole)
    after, again = run(), run()
    assert (after.through, again.through) == (ALL - 2 * 5, 0)
    assert after.results == again.results == full.results


@pytest.mark.parametrize(
    "strategy", ["feature-extraction", "gradual-unfreezing", "full-fine-tuning"]
)
def test_a_cache_that_may_hold_next_to_nothing_holds_nothing_and_the_plan_says_why(
    run, open_cache, strategy
):
    uncached = run(strategy=strategy, cache=OFF)
    small = run(strategy=strategy, cache={"max_gb": 1e-9})
    assert (small.results, small.warnings) == (uncached.results, [])
    assert {step["level"] for step in small.steps} == {"none"}
    reasons = {
        "feature-extraction": ["it would not fit into `cache.max_gb`"],
        "gradual-unfreezing": ["it would not fit into `cache.max_gb`"] * 2 + ["nothing is frozen"],
        "full-fine-tuning": ["nothing is frozen"],
    }
    assert [step["why"] for step in small.steps] == reasons[strategy]
    assert open_cache().entries() == []


def test_a_cache_that_turns_out_too_small_is_said_once_and_changes_nothing(run, force, open_cache):
    uncached = run(cache=OFF)
    force()
    small = run(cache={"max_gb": 1e-6})
    assert small.results == uncached.results
    (warning,) = small.warnings
    assert "that is full; going on without storing more" in warning
    assert open_cache().entries() == []


@pytest.mark.parametrize("event", ["loading", "step_started", "batch_finished", "epoch_finished"])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, pytest.param(RuntimeError, marks=pytest.mark.slow)]
)
def test_a_run_that_ended_early_leaves_nothing_that_changes_the_next(run, force, event, error):
    uncached = run(cache=OFF)
    force(3)

    def end():
        raise error

    with pytest.raises((RunInterrupted, RuntimeError)):
        run(when={event: end})
    after = run()
    assert (after.results, after.warnings) == (uncached.results, [])


#: What another process does. It waits until it is told to begin.
SCRIPT = """
import json, sys
import tlf
import tlf.cache.buffer
import tlf.engine.boundary
import tlf.engine.network
from tlf.planning import StepCache

def decide(usages, *_, **__):
    return tuple(StepCache("features", int(sys.argv[2])) for _ in usages)

tlf.engine.boundary.decide_cache = decide
tlf.engine.network.MOST_CHUNKS = 1
tlf.cache.buffer.SEGMENT_ROWS = 5
with open(sys.argv[1]) as file:
    spec = json.load(file)
print("ready", flush=True)
input()
run = tlf.run(spec)
assert "warning" not in (run.directory / "log.txt").read_text()
print(run.directory)
"""


@pytest.mark.slow
@pytest.mark.parametrize("cut", [3, 5])
def test_two_processes_at_once_compute_the_same_and_leave_one_good_entry(
    spec, run, force, open_cache, tmp_path, cut
):
    written = tmp_path / "spec.json"
    written.write_text(json.dumps(spec()))
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(written), str(cut)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    directories = [Path(process.communicate()[0].strip()) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    (entry,) = open_cache().entries()
    assert open_cache().verify() == []
    # Rows that both have written at the same moment are there twice.
    assert ALL <= entry.rows <= 2 * ALL
    force(cut)
    after = run()
    assert (after.through, after.warnings) == (0, [])
    for directory in directories:
        for name in RESULTS:
            assert (directory / name).read_bytes() == after.results[name]
    assert run(cache=OFF).results == after.results
