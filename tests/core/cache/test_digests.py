"""Digests of files are remembered while the files stay as they are, and never get in the way."""

import hashlib
import os
import sqlite3
import time

import pytest

from tlf.cache import FileDigests, FileStamp, digests


@pytest.fixture
def remembered(tmp_path):
    return FileDigests(tmp_path / "cache" / "digests.sqlite")


@pytest.fixture
def photo(tmp_path):
    return write(tmp_path / "photo.jpg", b"a photograph")


def write(path, content, at=1000):
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).digest()


def test_a_digest_is_remembered_while_the_file_stays_as_it_is(remembered, photo):
    stamp = FileStamp.of(photo)
    assert remembered.get([stamp]) == [None]
    remembered.put([(stamp, digest_of(photo))])
    assert remembered.get([stamp, stamp]) == [digest_of(photo)] * 2
    assert FileDigests(remembered._path).get([FileStamp.of(photo)]) == [digest_of(photo)]


def test_looking_something_up_writes_nothing(remembered, photo, tmp_path):
    assert remembered.get([FileStamp.of(photo)]) == [None]
    assert remembered.get([]) == []
    remembered.put([])
    assert remembered.verify() == []
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("field", ["size", "mtime_ns", "inode"])
def test_a_file_that_has_changed_is_not_known(remembered, photo, field):
    stamp = FileStamp.of(photo)
    remembered.put([(stamp, digest_of(photo))])
    assert remembered.get([stamp._replace(**{field: 1 << 65})]) == [None]
    remembered.put([(stamp._replace(**{field: 77}), b"2" * 32)])
    assert remembered.get([stamp, stamp._replace(**{field: 77})]) == [None, b"2" * 32]


def test_a_file_that_changed_a_moment_ago_is_not_remembered(remembered, photo, monkeypatch):
    now = time.time_ns()
    monkeypatch.setattr(digests.time, "time_ns", lambda: now)
    stamps = [
        FileStamp.of(photo)._replace(path=f"/{age}", mtime_ns=now - age)
        for age in (2_100_000_000, 1_900_000_000, 0, -(10**9))
    ]
    remembered.put([(stamp, digest_of(photo)) for stamp in stamps])
    assert [found is not None for found in remembered.get(stamps)] == [True, False, False, False]


def test_a_hundred_thousand_files_are_remembered_and_looked_up_together(remembered, monkeypatch):
    opened = []
    connect = sqlite3.connect
    monkeypatch.setattr(
        digests.sqlite3,
        "connect",
        lambda *words, **more: opened.append(1) or connect(*words, **more),
    )
    files = [
        (FileStamp(f"/data/{number}.jpg", 10, 20, number), hashlib.sha256(b"%d" % number).digest())
        for number in range(100_000)
    ]
    remembered.put(files)
    assert remembered.get([stamp for stamp, _ in files]) == [digest for _, digest in files]
    assert len(opened) == 2


def test_names_that_are_no_text_are_remembered(remembered, tmp_path):
    path = write(tmp_path / os.fsdecode(b"photo-\xff.jpg"), b"x")
    stamp = FileStamp.of(path)
    remembered.put([(stamp, digest_of(path))])
    assert remembered.get([stamp]) == [digest_of(path)]


def test_a_relative_path_is_the_file_that_it_means(photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    assert FileStamp.of("photo.jpg") == FileStamp.of(photo)


@pytest.mark.parametrize("content", [b"no database", b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_database_is_made_anew(remembered, photo, content):
    remembered._path.parent.mkdir()
    remembered._path.write_bytes(content)
    known = (FileStamp.of(photo), digest_of(photo))
    assert remembered.get([known[0]]) == [None]
    remembered.put([known])
    assert remembered.get([known[0]]) == [known[1]]


def test_a_database_of_another_shape_is_made_anew(remembered, photo):
    remembered._path.parent.mkdir()
    with sqlite3.connect(remembered._path) as database:
        database.execute("CREATE TABLE files (name TEXT)")
    database.close()
    known = (FileStamp.of(photo), digest_of(photo))
    remembered.put([known])
    assert remembered.get([known[0]]) == [known[1]]


def test_whatever_byte_of_the_database_changes_no_wrong_digest_is_given(remembered):
    files = [(FileStamp(f"/{number}", 1, 2, number), b"%032d" % number) for number in range(20)]
    remembered.put(files)
    whole = remembered._path.read_bytes()
    expected = dict(files)
    unknown = 0
    for at in [*range(0, len(whole), 23), *range(200)]:
        changed = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        remembered._path.write_bytes(changed)
        for stamp, found in zip(expected, remembered.get(list(expected)), strict=True):
            assert found in (None, expected[stamp]), at
            unknown += found is None
    assert unknown


def test_a_locked_database_is_gone_without(remembered, photo, monkeypatch):
    monkeypatch.setattr(digests, "LOCK_SECONDS", 0)
    known = (FileStamp.of(photo), digest_of(photo))
    remembered.put([known])
    other = sqlite3.connect(remembered._path)
    other.execute("BEGIN EXCLUSIVE")
    assert remembered.get([known[0]]) == [None]
    remembered.put([(known[0], b"3" * 32)])
    other.rollback()
    other.close()
    assert remembered.get([known[0]]) == [known[1]]


def test_a_place_that_cannot_be_written_to_is_gone_without(tmp_path, photo):
    (tmp_path / "cache").write_text("mine")
    remembered = FileDigests(tmp_path / "cache" / "digests.sqlite")
    remembered.put([(FileStamp.of(photo), digest_of(photo))])
    assert remembered.get([FileStamp.of(photo)]) == [None]
    assert (remembered.verify(), remembered.clear()) == ([], 0)
    (tmp_path / "folder.sqlite").mkdir()
    remembered = FileDigests(tmp_path / "folder.sqlite")
    remembered.put([(FileStamp.of(photo), digest_of(photo))])
    assert remembered.get([FileStamp.of(photo)]) == [None]


def test_verify_forgets_what_changed_though_it_does_not_look_it(remembered, tmp_path):
    same, changed, touched, gone = (
        write(tmp_path / name, b"before") for name in ("same", "changed", "touched", "gone")
    )
    known = [(FileStamp.of(path), digest_of(path)) for path in (same, changed, touched, gone)]
    remembered.put(known)
    write(changed, b"after!")
    write(touched, b"after!", at=2000)
    gone.unlink()
    assert FileStamp.of(changed) == known[1][0]
    assert remembered.verify() == [str(changed)]
    found = remembered.get([stamp for stamp, _ in known])
    assert [one is not None for one in found] == [True, False, True, True]
    assert remembered.verify() == []


def test_clear_forgets_everything(remembered, photo):
    known = (FileStamp.of(photo), digest_of(photo))
    remembered.put([known])
    size = remembered._path.stat().st_size
    assert remembered.clear() == size
    assert not remembered._path.exists()
    assert remembered.get([known[0]]) == [None]
