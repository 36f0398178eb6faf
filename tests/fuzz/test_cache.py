"""A cache that was damaged gives what was stored, or nothing; never anything else."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import tlf
from tests.fuzz.mutations import mutated_bytes
from tlf.cache import Cache

KEYS = [bytes([number]) * 32 for number in range(12)]
ABOUT = {"what": "a test"}


@pytest.fixture
def stored(tmp_path):
    """A cache with an entry of two files, its rows, and its folder."""
    rows = torch.randn(len(KEYS), 3, 4, generator=torch.Generator().manual_seed(0))
    for part in (slice(0, 7), slice(7, None)):
        entry = Cache(tmp_path / "cache", 10**9).entry(ABOUT)
        entry.add(KEYS[part], rows[part])
        entry.flush()
    return tmp_path / "cache", rows


def test_rows_are_those_that_were_stored_or_are_not_there(fuzz, stored, tmp_path):
    folder, rows = stored
    whole = {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert sum(path.suffix == ".safetensors" for path in whole) == 2
    damaged = st.sampled_from(sorted(whole)).flatmap(
        lambda path: st.tuples(st.just(path), mutated_bytes(whole[path]))
    )

    def check(example):
        shutil.rmtree(folder)
        for path, content in whole.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        path, content = example
        (folder / path).write_bytes(content)
        found, read = Cache(folder, 10**9, lambda _: None).entry(ABOUT).read(KEYS)
        assert found.sum() == (0 if read is None else len(read))
        if read is not None:
            assert torch.equal(read, rows[torch.from_numpy(np.flatnonzero(found))])
        if content == whole[path]:
            assert found.all()
        return "fine" if found.all() else "lost"

    fuzz(60, damaged, check)


def test_a_run_with_a_damaged_cache_gives_the_same_bytes(
    fuzz, make_spec, tmp_path, cache_directory, monkeypatch
):
    monkeypatch.setattr("tlf.engine.pages.write_page", lambda folder: folder)
    spec = make_spec(tmp_path / "runs")
    first = tlf.run(spec).directory
    whole = {path: path.read_bytes() for path in cache_directory.rglob("*") if path.is_file()}
    damaged = st.sampled_from(sorted(whole)).flatmap(
        lambda path: st.tuples(st.just(path), mutated_bytes(whole[path]))
    )

    def check(example):
        shutil.rmtree(cache_directory)
        for path, content in {**whole, example[0]: example[1]}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        again = tlf.run(spec, output_directory=tmp_path / "again").directory
        for name in ("metrics.jsonl", "predictions.jsonl", "model.safetensors"):
            assert (again / name).read_bytes() == (first / name).read_bytes()
        shutil.rmtree(again)
        return "the same"

    fuzz(2, damaged, check)
