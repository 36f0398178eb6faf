"""Rows go in and come out as they were, whatever they are, in memory and on disk."""

import json
import os
import threading
import time

import numpy as np
import pytest
import safetensors.numpy
import torch

from tlf.cache import buffer, files
from tlf.cache.folders import key_of

from .rows import DESCRIPTION, fill, is_whole, keys, names, rows, segments

DTYPES = (
    torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.uint8, torch.int64,
    torch.bool, torch.complex64, torch.float8_e4m3fn,
)  # fmt: skip


def test_rows_that_were_flushed_are_found_by_the_next_process(open_entry, said):
    fill(open_entry(), 10)
    assert is_whole(open_entry(), 10)
    assert said == []


def test_rows_are_found_before_they_are_written(open_entry, place):
    entry = open_entry()
    entry.add(keys(10), rows(10))
    assert is_whole(entry, 10)
    assert len(entry) == 10
    assert not place.exists()


def test_nothing_is_found_where_nothing_is(open_entry, place):
    found, stored = open_entry().read(keys(3))
    assert (found.tolist(), stored) == ([False] * 3, None)
    assert open_entry().find(keys(3)).tolist() == [False] * 3
    assert open_entry().find([]).tolist() == []
    assert not place.exists()


def test_some_keys_in_any_order_and_more_than_once_give_their_rows_in_that_order(open_entry):
    entry = fill(open_entry(), 10)
    entry.add(keys(10, 10), rows(10, 10))
    asked = [17, 3, 99, 3, 4, 5, 12, 0, 98, 11]
    found, stored = entry.read([key for number in asked for key in keys(1, number)])
    assert found.tolist() == entry.find([keys(1, number)[0] for number in asked]).tolist()
    assert found.tolist() == [number < 20 for number in asked]
    assert torch.equal(stored, torch.cat([rows(1, number) for number in asked if number < 20]))


def test_keys_may_be_an_array(open_entry):
    array = np.frombuffer(b"".join(keys(10)), np.uint8).reshape(10, 32)
    entry = open_entry()
    entry.add(array, rows(10))
    assert entry.find(array).all()
    assert torch.equal(entry.read(array)[1], entry.read(keys(10))[1])


@pytest.mark.parametrize(
    "wrong", [[b"short"], [b"x" * 33], np.zeros((2, 31), np.uint8), np.zeros((2, 32), np.int8)]
)
def test_what_is_no_key_is_refused(open_entry, wrong):
    with pytest.raises(ValueError, match="key"):
        open_entry().find(wrong)


def test_keys_that_end_in_zeros_or_share_most_bytes_are_told_apart(open_entry):
    numbers = [*range(300), 1 << 248, 1 << 128, 255 << 120]
    alike = [number.to_bytes(32, order) for number in numbers for order in ("big", "little")]
    alike = sorted(set(alike))
    entry = open_entry()
    entry.add(alike, torch.arange(len(alike)))
    entry.flush()
    found, stored = open_entry().read(alike[::-1])
    assert found.all()
    assert stored.tolist() == list(range(len(alike)))[::-1]
    assert not entry.find([(1 << 200).to_bytes(32, "big")]).any()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("flushed", [False, True])
def test_every_type_of_number_goes_round(open_entry, dtype, flushed):
    given = torch.randn(5, 3, 4).to(dtype)
    entry = open_entry()
    entry.add(keys(5), given)
    if flushed:
        entry.flush()
        entry = open_entry()
    stored = entry.read(keys(5))[1]
    assert (stored.dtype, stored.shape) == (dtype, given.shape)
    assert torch.equal(stored.view(torch.uint8), given.view(torch.uint8))


ORDERS = {
    "contiguous": lambda: torch.randn(4, 3, 5, 6),
    "channels_last": lambda: torch.randn(4, 3, 5, 6).to(memory_format=torch.channels_last),
    "channels_last 1x1": lambda: torch.randn(4, 8, 1, 1).to(memory_format=torch.channels_last),
    "1x1": lambda: torch.randn(4, 8, 1, 1),
    "transposed": lambda: torch.randn(4, 3, 5).transpose(1, 2),
    "every second": lambda: torch.randn(8, 3, 5)[::2],
    "numbers": lambda: torch.randn(4),
    "one row": lambda: torch.randn(1, 3, 5, 6).to(memory_format=torch.channels_last),
    "nothing": lambda: torch.randn(4, 0, 3),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("flushed", [False, True])
def test_the_order_in_memory_is_kept(open_entry, order, flushed):
    given = ORDERS[order]()
    entry = open_entry()
    entry.add(keys(len(given)), given)
    if flushed:
        entry.flush()
        entry = open_entry()
    stored = entry.read(keys(len(given)))[1]
    assert torch.equal(stored, given)
    assert stored.stride()[1:] == given.stride()[1:]


@pytest.mark.parametrize(
    "given",
    [torch.randn(4, 3, 9)[..., ::2], torch.randn(4, 1, 5).expand(4, 3, 5), torch.randn(3, 5)
     .expand(4, 3, 5), torch.randn(3, 5, 4).movedim(2, 0)],
    ids=["gaps", "repeated", "one row for all", "rows innermost"],
)  # fmt: skip
def test_what_has_no_order_of_its_own_is_stored_in_the_plain_one(open_entry, given):
    entry = open_entry()
    entry.add(keys(4), given)
    stored = entry.read(keys(4))[1]
    assert torch.equal(stored, given)
    assert stored.is_contiguous()


def test_later_rows_take_the_order_of_the_first(open_entry):
    first = torch.randn(4, 3, 5, 6).to(memory_format=torch.channels_last)
    later = torch.randn(4, 3, 5, 6)
    entry = open_entry()
    entry.add(keys(4), first)
    entry.add(keys(4, 4), later)
    stored = entry.read(keys(8))[1]
    assert torch.equal(stored, torch.cat([first, later]))
    assert stored.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("wrong", [rows(2, width=7), rows(2).float(), rows(2)[..., None]])
@pytest.mark.parametrize("reopened", [False, True])
def test_rows_of_another_type_or_shape_are_refused(open_entry, wrong, reopened):
    entry = fill(open_entry(), 3)
    if reopened:
        entry = open_entry()
    with pytest.raises(ValueError, match="the rows of `features of acme/net at pool` are bfloat16"):
        entry.add(keys(2, 5), wrong)


@pytest.mark.parametrize("wrong", [rows(3), torch.tensor(1.0)], ids=["too many", "no dimension"])
def test_as_many_rows_as_keys_are_wanted(open_entry, wrong):
    with pytest.raises(ValueError, match="2 keys for rows of shape"):
        open_entry().add(keys(2), wrong)


def test_rows_are_copied_at_once(open_entry):
    given = rows(3)
    entry = open_entry()
    entry.add(keys(3), given)
    given.zero_()
    assert is_whole(entry, 3)


def test_what_is_read_may_be_changed_without_harm(open_entry):
    entry = open_entry()
    entry.add(keys(3), rows(3))
    entry.read(keys(3))[1].zero_()
    entry.flush()
    entry.read(keys(3))[1].zero_()
    assert is_whole(entry, 3)


def test_a_key_that_is_there_already_keeps_its_row(open_entry):
    entry = fill(open_entry(), 3)
    entry.add(keys(5), rows(5) * 0)
    entry.add(keys(6), rows(6))
    twice = keys(1, 6) * 2
    entry.add(twice, rows(2, 6))
    entry.flush()
    stored = open_entry().read(keys(7))[1]
    assert torch.equal(stored, torch.cat([rows(3), rows(2) * 0, rows(2, 5)]))
    assert len(entry) == 7


def test_rows_are_written_when_enough_have_come_together(open_entry, monkeypatch):
    monkeypatch.setattr(buffer, "SEGMENT_BYTES", 10 * (12 + 36))
    entry = open_entry()
    entry.add(keys(9), rows(9))
    assert not entry.folder.exists()
    entry.add(keys(26, 9), rows(26, 9))
    assert len(segments(entry)) == 3
    assert is_whole(entry, 35)
    assert is_whole(open_entry(), 30)
    entry.flush()
    assert is_whole(open_entry(), 35)
    asked = torch.randperm(35, generator=torch.Generator().manual_seed(0)).tolist()
    stored = open_entry().read([keys(1, number)[0] for number in asked])[1]
    assert torch.equal(stored, rows(35)[asked])


def test_a_row_larger_than_a_segment_is_written_by_itself(open_entry, monkeypatch):
    monkeypatch.setattr(buffer, "SEGMENT_BYTES", 10)
    entry = open_entry()
    entry.add(keys(3), rows(3))
    assert len(segments(entry)) == 3
    assert is_whole(open_entry(), 3)


def test_the_files_are_those_that_the_format_promises(open_entry):
    entry = fill(open_entry(), 4)
    (path,) = segments(entry)
    assert names(entry) == sorted([path.name, "entry.json", "used"])
    tensors = safetensors.numpy.load_file(path)
    assert tensors["keys"].tobytes() == b"".join(keys(4))
    assert tensors["rows"].tobytes() == rows(4).view(torch.uint8).numpy().tobytes()
    assert tensors["checksums"].dtype == np.uint32
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert metadata["dtype"] == "bfloat16"
    assert (metadata["shape"], metadata["strides"]) == ("[6]", "[1]")
    assert f"{metadata['sha256']}.safetensors" == path.name
    written = json.loads((entry.folder / "entry.json").read_text())
    assert written == {"schema_version": 1, "description": DESCRIPTION}
    assert entry.folder.name == entry.key == key_of(DESCRIPTION)
    assert entry.folder.parent.name == entry.key[:2]


def test_nothing_in_the_folder_can_be_read_by_fewer_than_the_umask_allows(open_entry):
    entry = fill(open_entry(), 1)
    umask = os.umask(0)
    os.umask(umask)
    assert {path.stat().st_mode & 0o777 for path in entry.folder.iterdir()} == {0o666 & ~umask}


def test_equal_descriptions_are_one_entry_and_others_are_not(open_cache):
    cache = open_cache()
    entry = cache.entry({"a": (1, 2), "b": {"x": 1, "y": 2.5}})
    assert cache.entry({"b": {"y": 2.5, "x": 1}, "a": [1, 2]}) is entry
    assert cache.entry({"a": [1, 3], "b": {"x": 1, "y": 2.5}}) is not entry
    numbered = fill(cache.entry({"sizes": {2: 1, 10: 1}}), 2)
    assert is_whole(open_cache().entry({"sizes": {"10": 1, "2": 1}}), 2)
    assert numbered.key == key_of({"sizes": {"2": 1, "10": 1}})
    fill(cache.entry({"path": "sm\udcffrrebrød"}), 2)
    assert is_whole(open_cache().entry({"path": "sm\udcffrrebrød"}), 2)


@pytest.mark.parametrize("wrong", [{"a": float("nan")}, {"a": object()}])
def test_a_description_that_is_no_plain_data_is_refused(open_cache, wrong):
    with pytest.raises((ValueError, TypeError)):
        open_cache().entry(wrong)


def test_a_file_goes_round_without_reading_by_position(open_entry, monkeypatch):
    monkeypatch.setattr(files, "READS_BY_POSITION", False)
    fill(open_entry(), 10)
    assert is_whole(open_entry(), 10)
    assert torch.equal(open_entry().read(keys(10)[::-2])[1], rows(10).flip(0)[::2])


def test_neighbouring_rows_are_read_in_one_call(open_entry, monkeypatch):
    entry = fill(open_entry(), 20)
    calls = []
    read = files.Descriptor.read
    monkeypatch.setattr(
        files.Descriptor, "read", lambda *words: calls.append(words[2]) or read(*words)
    )
    assert is_whole(entry, 20)
    assert len(calls) == 1
    entry.read(keys(5) + keys(5, 10))
    assert len(calls) == 3


def test_a_bounded_number_of_files_is_open(open_entry, monkeypatch):
    monkeypatch.setattr(files, "OPEN_FILES", 3)
    monkeypatch.setattr(buffer, "SEGMENT_ROWS", 2)
    fill(open_entry(), 40)
    entry = open_entry()
    assert is_whole(entry, 40)
    assert len(entry._pool._open) == 3


def test_two_threads_read_at_once_while_a_third_adds(open_entry, monkeypatch):
    monkeypatch.setattr(files, "OPEN_FILES", 1)
    monkeypatch.setattr(buffer, "SEGMENT_ROWS", 8)
    entry = fill(open_entry(), 64)
    wrong = []

    def read(seed):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(200):
            asked = torch.randint(0, 128, (10,), generator=generator).tolist()
            found, stored = entry.read([keys(1, number)[0] for number in asked])
            expected = [number for number, there in zip(asked, found, strict=True) if there]
            if not found[np.array(asked) < 64].all() or (
                expected and not torch.equal(stored, torch.cat([rows(1, n) for n in expected]))
            ):
                wrong.append(asked)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for number in range(64, 128):
        entry.add(keys(1, number), rows(1, number))
    for thread in threads:
        thread.join()
    assert wrong == []
    assert is_whole(entry, 128)


def test_opening_an_entry_marks_it_as_used_and_reading_it_for_long_does_again(
    open_entry, monkeypatch
):
    fill(open_entry(), 2)
    used = open_entry().folder / "used"

    def age():
        os.utime(used, (1000, 1000))
        return used.stat().st_mtime

    age()
    entry = open_entry()
    assert used.stat().st_mtime > 1000
    age()
    entry.read(keys(1))
    assert used.stat().st_mtime == 1000
    later = time.monotonic() + 61
    monkeypatch.setattr("tlf.cache.entry.time.monotonic", lambda: later)
    entry.read(keys(1))
    assert used.stat().st_mtime > 1000


def test_a_million_keys_are_found_at_once(open_entry):
    count = 1_000_000
    drawn = np.random.default_rng(0).integers(0, 256, (count, 32), dtype=np.uint8)
    entry = open_entry()
    for start in range(0, count, 50_000):
        part = slice(start, start + 50_000)
        entry.add(drawn[part], torch.arange(count, dtype=torch.int32)[part, None])
    entry.flush()
    entry = open_entry()
    assert entry.find(drawn).all()
    assert not entry.find(drawn[:, ::-1]).any()
    asked = np.random.default_rng(1).integers(0, count, 1000)
    assert entry.read(drawn[asked])[1][:, 0].tolist() == asked.tolist()
