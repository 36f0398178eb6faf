"""Damage of any kind is found, said once, and mended by storing the rows again."""

import os
import shutil

import pytest
import torch

from tlf.cache import buffer

from .rows import DESCRIPTION, fill, is_whole, keys, names, rows, segments


def reads_right_or_not_at_all(entry, count):
    """Say whether every row that is found is right, and how many are."""
    found, stored = entry.read(keys(count))
    if stored is None:
        return not found.any(), 0
    return torch.equal(stored, rows(count)[torch.from_numpy(found)]), int(found.sum())


def test_whatever_byte_changes_no_wrong_row_is_read_and_it_is_stored_again(open_entry, said):
    entry = fill(open_entry(), 3)
    (path,) = segments(entry)
    whole = path.read_bytes()
    harmless = 0
    for at in range(len(whole)):
        for change in (1 << at % 8, 0xFF):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :])
            said.clear()
            entry = open_entry()
            right, count = reads_right_or_not_at_all(entry, 3)
            assert right, at
            harmless += count == 3
            assert count in (0, 3)
            assert (count == 0) == (len(said) == 1) == (not path.exists())
            fill(entry, 3)
            assert path.read_bytes() == whole or count == 3
            assert is_whole(entry, 3)
    # Some spaces of the header may be other white space.
    assert harmless < 10


def test_wherever_a_file_is_cut_off_no_wrong_row_is_read(open_entry, said):
    entry = fill(open_entry(), 3)
    (path,) = segments(entry)
    whole = path.read_bytes()
    for content in (*(whole[:length] for length in range(len(whole))), whole + b"x"):
        path.write_bytes(content)
        said.clear()
        entry = open_entry()
        assert reads_right_or_not_at_all(entry, 3) == (True, 0)
        assert len(said) == 1
        assert not path.exists()


@pytest.mark.parametrize("change", ["cut off", "changed"])
def test_damage_while_it_is_open_is_found_when_a_row_is_read(open_entry, said, change):
    entry = fill(open_entry(), 10)
    (path,) = segments(entry)
    with path.open("rb+") as file:
        if change == "cut off":
            file.truncate(path.stat().st_size - 5)
        else:
            file.seek(-5, os.SEEK_END)
            file.write(b"\xff")
    assert is_whole(entry, 9)
    found, stored = entry.read(keys(10))
    assert (found.any(), stored) == (False, None)
    reason = "it is cut short" if change == "cut off" else "a row has changed"
    what = "the cache's rows of `features of acme/net at pool`"
    assert said == [f"{what} are damaged: {reason}; they are computed again"]
    assert not path.exists()
    assert not entry.find(keys(10)).any()
    assert is_whole(fill(entry, 10), 10)
    assert len(said) == 1


def test_rows_of_other_segments_survive_and_damage_is_said_once(open_entry, said, monkeypatch):
    monkeypatch.setattr(buffer, "SEGMENT_ROWS", 2)
    fill(open_entry(), 10)
    entry = open_entry()
    for path in segments(entry)[:2]:
        path.write_bytes(path.read_bytes()[:-1])
    right, count = reads_right_or_not_at_all(entry, 10)
    assert (right, count) == (True, 6)
    assert len(said) == 1
    assert is_whole(fill(entry, 10), 10)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "entry.json is missing"),
        (b"", "entry.json is unreadable"),
        (b"[1]", "entry.json is unreadable"),
        (b'{"schema_version": 1, "description": {}}', "entry.json has changed"),
    ],
)
def test_an_entry_that_does_not_say_what_it_is_is_not_used(open_entry, said, content, reason):
    path = fill(open_entry(), 3).folder / "entry.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    entry = open_entry()
    assert not entry.find(keys(3)).any()
    assert len(said) == 1
    assert f"are damaged: {reason}; they are computed again" in said[0]
    assert is_whole(fill(entry, 3), 3)
    assert is_whole(open_entry(), 3)


def test_whatever_byte_of_the_description_changes_it_is_found(open_entry, said):
    path = fill(open_entry(), 3).folder / "entry.json"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        said.clear()
        entry = open_entry()
        assert is_whole(entry, 3) == (said == [])
        fill(entry, 3)


def test_a_file_of_another_entry_or_of_another_name_is_not_used(open_cache, open_entry, said):
    entry = fill(open_entry(), 3)
    other = fill(open_cache().entry(DESCRIPTION | {"prefix": "other"}), 3, start=5)
    (path,), (foreign,) = segments(entry), segments(other)
    shutil.copy(foreign, entry.folder)
    shutil.copy(path, path.with_name(f"{'0' * 64}.safetensors"))
    entry = open_entry()
    assert is_whole(entry, 3)
    assert not entry.find(keys(3, 5)).any()
    assert len(entry) == 3
    assert names(entry) == sorted([path.name, "entry.json", "used"])
    assert len(said) == 1


def test_what_cannot_be_opened_is_passed_over(open_entry, said):
    entry = fill(open_entry(), 3)
    (path,) = segments(entry)
    path.unlink()
    path.mkdir()
    entry = open_entry()
    assert not entry.find(keys(3)).any()
    assert len(said) == 1
    assert "is a directory" in said[0]


def test_an_entry_that_another_process_removes_is_no_error(open_entry, said):
    fill(open_entry(), 3)
    entry = open_entry()
    shutil.rmtree(entry.folder)
    entry._pool.clear()
    found, stored = entry.read(keys(3))
    assert (found.any(), stored, said) == (False, None, [])
    assert is_whole(fill(entry, 3), 3)
    assert is_whole(open_entry(), 3)


def test_a_folder_in_which_nothing_is_yet_is_no_damage(open_entry, said):
    open_entry().folder.mkdir(parents=True)
    assert is_whole(fill(open_entry(), 3), 3)
    assert said == []
