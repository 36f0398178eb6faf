"""A checkpoint that was damaged is passed over or refused; a run never goes on from anything else."""

import json
import shutil

import pytest
import torch
from hypothesis import strategies as st

import tlf
from tests.fuzz.mutations import mutated_bytes, mutated_json_file
from tests.small import Dies
from tlf.engine.checkpoint import Position, State, load_checkpoint, save_checkpoint
from tlf.errors import OutputError, RunInterrupted

SAME = ("metrics.jsonl", "predictions.jsonl", "model.safetensors")


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_back(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def saved(tmp_path):
    """A run directory with two checkpoints, and their states."""
    run = tmp_path / "run"
    run.mkdir()
    states = []
    generator = torch.Generator().manual_seed(0)
    for batch in range(2):
        with (run / "metrics.jsonl").open("a") as file:
            file.write(f'{{"epoch": {batch + 1}}}\n')
        tensors = {"weight": torch.randn(5, 3, generator=generator)}
        facts = {"loss": 0.1 * batch}
        drawn = {"torch": generator.get_state()}
        states.append(State(Position(0, batch, batch), facts, tensors, tensors, drawn, {}))
        save_checkpoint(run, states[-1])
    return run, states


def test_what_is_loaded_is_what_was_saved(fuzz, saved):
    run, states = saved
    whole = files_of(run)
    damaged = st.sampled_from(sorted(whole)).flatmap(
        lambda path: st.tuples(st.just(path), mutated_bytes(whole[path]))
    )

    def check(example):
        put_back(run, {**whole, example[0]: example[1]})
        try:
            loaded = load_checkpoint(run, lambda _: None)
        except OutputError:
            return "refused"
        number = loaded.position.batch
        expected = states[number]
        assert loaded.facts == expected.facts
        for kind in ("model", "optimizer", "generator", "weights"):
            mine, its = getattr(loaded, kind), getattr(expected, kind)
            assert mine.keys() == its.keys()
            assert all(tensor.equal(its[name]) for name, tensor in mine.items())
        lines = (run / "metrics.jsonl").read_bytes()
        assert lines == b"".join(b'{"epoch": %d}\n' % (line + 1) for line in range(number + 1))
        return "fine" if number == 1 else "the one before"

    fuzz(100, damaged, check)


def test_a_run_goes_on_to_the_same_bytes_or_says_why_not(
    fuzz, make_spec, in_words, tmp_path, monkeypatch
):
    monkeypatch.setattr("tlf.engine.pages.write_page", lambda folder: folder)
    spec = make_spec(
        tmp_path / "runs",
        training={"epochs": 2, "batch_size": 8},
        checkpoint={"every_seconds": 1e-9},
    )
    whole = tlf.run(spec, output_directory=tmp_path / "whole").directory
    run = tmp_path / "run"
    with pytest.raises(RunInterrupted):
        tlf.run(spec, output_directory=run, listener=Dies(5))
    files = files_of(run)
    spoilt = {}
    for path, content in files.items():
        if path.suffix == ".json":
            spoilt[path] = mutated_json_file(json.loads(content))
        elif path.name not in ("log.txt", "timings.jsonl"):
            spoilt[path] = mutated_bytes(content)
    damaged = st.sampled_from(sorted(spoilt)).flatmap(
        lambda path: st.tuples(st.just(path), spoilt[path])
    )

    def check(example):
        put_back(run, {**files, example[0]: example[1]})
        said = in_words(tlf.resume, run)
        if said == "fine":
            for name in SAME:
                assert (run / name).read_bytes() == (whole / name).read_bytes()
        return said

    fuzz(8, damaged, check)
