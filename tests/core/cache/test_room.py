"""A cache keeps within its size, and goes on without storing when it cannot write."""

import errno
import os
import time

import pytest

from tlf.cache import Cache, buffer
from tlf.cache.files import write_whole
from tlf.cache.folders import folder_size

from .rows import DESCRIPTION, fill, is_whole, keys, names, rows, segments


def described(number):
    return DESCRIPTION | {"number": number}


@pytest.fixture
def filled(open_cache):
    """Fill entries of 100 rows each; the first one was used longest ago. Return their sizes."""

    def filled(count):
        sizes = []
        for number in range(count):
            entry = fill(open_cache().entry(described(number)), 100)
            os.utime(entry.folder / "used", (1000 + number, 1000 + number))
            sizes.append(folder_size(entry.folder))
        return sizes

    return filled


def there(open_cache, count):
    kept = {entry.description["number"] for entry in open_cache().entries()}
    return [number in kept for number in range(count)]


def test_what_was_used_least_recently_goes_first(open_cache, filled, said):
    size = max(filled(3))
    fill(open_cache(4 * size).entry(described(3)), 100)
    assert there(open_cache, 4) == [False, True, True, True]
    assert said == []


def test_what_is_open_here_stays_however_long_ago_it_was_used(open_cache, filled):
    size = max(filled(3))
    cache = open_cache(4 * size)
    oldest = cache.entry(described(0))
    os.utime(oldest.folder / "used", (1000, 1000))
    fill(cache.entry(described(3)), 100)
    assert there(open_cache, 4) == [True, False, True, True]
    assert is_whole(oldest, 100)


def test_the_size_is_never_exceeded(open_cache, place, monkeypatch):
    monkeypatch.setattr(buffer, "SEGMENT_ROWS", 40)
    for number in range(12):
        cache = open_cache(20_000)
        cache.entry(described(number)).add(keys(100), rows(100))
        cache.close()
        assert 0 < folder_size(place / "entries") <= 20_000


def test_what_does_not_fit_is_not_stored_and_nothing_goes_for_it(open_cache, filled, said, place):
    size = max(filled(2))
    cache = open_cache(3 * size)
    entry = cache.entry(described(2))
    fill(entry, 1000)
    fill(entry, 1000)
    fill(cache.entry(described(3)), 10)
    assert there(open_cache, 4) == [True, True, False, False]
    limit = f"the cache `{place}` may hold {3 * size / 1000:.1f} kB"
    assert said == [f"{limit}, and that is full; going on without storing more"]
    assert not entry.find(keys(1000)).any()
    assert is_whole(cache.entry(described(0)), 100)


def fail_with(monkeypatch, number):
    """Let the system refuse to write after the first bytes."""
    written = []

    def write(path, parts):
        def failing():
            yield parts[0]
            written.append(path)
            raise OSError(number, os.strerror(number))

        write_whole(path, failing())

    monkeypatch.setattr("tlf.cache.segment.write_whole", write)
    return written


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space left on device"), (errno.EIO, "input/output error")],
)
def test_a_full_disk_is_said_once_and_what_is_stored_is_still_read(
    open_cache, said, place, monkeypatch, number, words
):
    fill(open_cache().entry(DESCRIPTION), 10)
    cache = open_cache()
    entry, other = cache.entry(DESCRIPTION), cache.entry(described(1))
    before = names(entry)
    written = fail_with(monkeypatch, number)
    fill(entry, 10, start=10)
    fill(entry, 10, start=20)
    fill(other, 10)
    assert said == [f"the cache `{place}` cannot be written ({words}); going on without it"]
    assert len(written) == 1
    assert names(entry) == before
    assert is_whole(entry, 10)
    assert not entry.find(keys(20, 10)).any()


@pytest.mark.parametrize("at", ["the folder", "entries"])
def test_a_file_where_the_folder_should_be_is_said_once(open_cache, place, said, at):
    if at == "the folder":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "entries").write_text("mine")
    cache = open_cache()
    entry = cache.entry(DESCRIPTION)
    fill(entry, 3)
    fill(entry, 3)
    assert len(said) == 1
    assert f"the cache `{place}` cannot be written (" in said[0]
    assert not entry.find(keys(3)).any()
    assert (cache.entries(), cache.verify(), cache.clear()) == ([], [], 0)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_may_not_be_written_to_is_read(open_cache, said, place):
    entry = fill(open_cache().entry(DESCRIPTION), 3)
    entry.folder.chmod(0o555)
    try:
        entry = open_cache().entry(DESCRIPTION)
        assert is_whole(entry, 3)
        fill(entry, 3, start=3)
        assert len(said) == 1
        assert "cannot be written (permission denied)" in said[0]
        assert is_whole(entry, 3)
        (path,) = segments(entry)
        path.write_bytes(path.read_bytes()[:-1])
        entry = open_cache().entry(DESCRIPTION)
        assert not entry.find(keys(3)).any()
        entry.look_again()
        assert len(said) == 2
    finally:
        entry.folder.chmod(0o755)


def test_what_a_dead_process_left_is_removed_after_an_hour(open_cache, place):
    folder = fill(open_cache().entry(DESCRIPTION), 3).folder
    old, fresh = folder / ".a.safetensors.1.aa.tmp", folder / ".b.safetensors.2.bb.tmp"
    removed = folder.with_name(f".removed-{folder.name}.1.aa")
    removed.mkdir()
    for path in (old, fresh, removed / "row.safetensors"):
        path.write_text("half")
    for path in (old, removed):
        os.utime(path, (time.time() - 3700,) * 2)
    fill(open_cache().entry(described(1)), 3)
    assert not old.exists()
    assert not removed.exists()
    assert fresh.exists()


def test_clear_removes_what_is_named_or_everything_but_nothing_of_others(open_cache, filled, place):
    sizes = filled(3)
    (place / "entries" / "zz").mkdir()
    mine = [place / "notes.txt", place / "entries" / "zz" / "notes.txt"]
    for path in mine:
        path.write_text("mine")
    cache = open_cache()
    entry = cache.entry(described(1))
    assert cache.clear([entry.key]) == sizes[1]
    assert there(open_cache, 3) == [True, False, True]
    assert not entry.find(keys(100)).any()
    cache.digests.put([])
    assert cache.clear() == sizes[0] + sizes[2]
    assert there(open_cache, 3) == [False] * 3
    assert [path.read_text() for path in mine] == ["mine"] * 2
    assert is_whole(fill(entry, 5), 5)


def test_entries_are_listed_with_what_they_take_the_last_used_first(open_cache, filled):
    sizes = filled(3)
    listed = open_cache().entries()
    assert [entry.description for entry in listed] == [described(2), described(1), described(0)]
    assert [entry.bytes for entry in listed] == sizes[::-1]
    assert [entry.rows for entry in listed] == [100] * 3
    assert [entry.last_used for entry in listed] == [1002, 1001, 1000]
    assert listed[0].what == "features of acme/net at pool"


def test_verify_names_and_removes_what_is_damaged(open_cache, filled):
    filled(4)
    cache = open_cache()
    assert cache.verify() == []
    folders = {entry.description["number"]: entry.folder for entry in cache.entries()}
    for number, at in ((0, -1), (1, 900)):
        (path,) = folders[number].glob("*.safetensors")
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
    (folders[2] / "entry.json").unlink()
    opened = cache.entry(described(0))
    found = {(problem.what, problem.reason) for problem in cache.verify()}
    assert found == {
        ("features of acme/net at pool", "a row has changed"),
        ("features of acme/net at pool", "its index has changed"),
        (folders[2].name[:12], "entry.json is missing"),
    }
    assert cache.verify() == []
    assert not opened.find(keys(100)).any()
    assert is_whole(open_cache().entry(described(3)), 100)


def test_leaving_a_cache_writes_what_waits(open_cache):
    with open_cache() as cache:
        cache.entry(DESCRIPTION).add(keys(3), rows(3))
    assert is_whole(open_cache().entry(DESCRIPTION), 3)


def test_without_somebody_to_tell_it_warns_as_python_does(place):
    place.write_text("mine")
    with pytest.warns(UserWarning, match="cannot be written"):
        fill(Cache(place, 10**9).entry(DESCRIPTION), 3)
