"""Checkpoints: everything goes round, and damage is seen before anything is taken over."""

import json
import subprocess
from dataclasses import replace

import pytest
import torch

from tlf.engine.checkpoint import Position, State, load_checkpoint, save_checkpoint
from tlf.errors import OutputError


@pytest.fixture
def state():
    return State(
        position=Position(step=1, epoch=3, batch=7),
        facts={"loss": 0.1 + 0.2, "names": ["a", "é"]},
        model={"weight": torch.randn(3, 2), "count": torch.tensor(7)},
        optimizer={"weight|exp_avg": torch.randn(3, 2)},
        generator={"torch": torch.get_rng_state()},
        weights={},
    )


@pytest.fixture
def run(tmp_path):
    """A run directory with a line of metrics in it."""
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')
    return tmp_path


def load(run):
    said = []
    return load_checkpoint(run, said.append), said


def assert_equal(one, other):
    assert (one.position, one.facts) == (other.position, other.facts)
    for name in ("model", "optimizer", "generator", "weights"):
        mine, its = getattr(one, name), getattr(other, name)
        assert mine.keys() == its.keys()
        assert all(tensor.equal(its[key]) for key, tensor in mine.items())


def flip(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_everything_goes_round_to_the_last_bit(run, state):
    save_checkpoint(run, state)
    loaded, said = load(run)
    assert_equal(loaded, state)
    assert said == []


def test_a_run_that_has_saved_nothing_begins_at_its_start_without_its_lines(run):
    assert load(run) == (None, [])
    assert (run / "metrics.jsonl").read_text() == ""


def test_the_last_one_counts_and_two_are_kept(run, state):
    for batch in range(4):
        save_checkpoint(run, replace(state, position=Position(0, 0, batch)))
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["000003", "000004"]
    loaded, _ = load(run)
    assert loaded.position.batch == 3


def test_numbers_go_on_beyond_six_digits(run, state):
    save_checkpoint(run, state).rename(run / "checkpoints" / "999999")
    assert save_checkpoint(run, state).name == "1000000"
    (run / "checkpoints" / "999999" / "state.json").unlink()
    assert load(run)[1] == []


def test_lines_that_came_later_are_cut_off_and_earlier_ones_are_not(run, state):
    save_checkpoint(run, state)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2}\n{"ep')
    (run / "timings.jsonl").write_text("{}\n")
    load(run)
    assert (run / "metrics.jsonl").read_text() == '{"epoch": 1}\n'
    assert (run / "timings.jsonl").read_text() == ""


@pytest.mark.parametrize("text", ["", '{"epoch": 9}\n', '{"epoch": 1}'])
def test_a_checkpoint_whose_lines_are_not_there_any_more_is_damaged(run, state, text):
    save_checkpoint(run, state)
    (run / "metrics.jsonl").write_text(text)
    with pytest.raises(OutputError, match="every checkpoint in"):
        load(run)
    assert (run / "metrics.jsonl").read_text() == text


FILES = ["model", "optimizer", "generator"]


@pytest.mark.parametrize("name", [*(f"{name}.safetensors" for name in FILES), "state.json"])
@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_changed_bit_is_seen_and_the_one_before_is_taken(run, state, name, place):
    before = replace(state, position=Position(0, 0, 1))
    save_checkpoint(run, before)
    path = save_checkpoint(run, state)
    flip(path / name, place)
    loaded, said = load(run)
    assert_equal(loaded, before)
    assert said == [f"the checkpoint `{path}` is damaged: `{name}` has changed"]
    assert not path.exists()


def test_any_changed_bit_of_the_digests_is_seen(run, state):
    path = save_checkpoint(run, state) / "SHA256SUMS"
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        flip(path, place)
        with pytest.raises(OutputError, match="every checkpoint in"):
            load(run)
        path.write_bytes(content)
    assert load(run)[0] is not None


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "SHA256SUMS"])
def test_a_file_that_is_gone_is_damage(run, state, name):
    (save_checkpoint(run, state) / name).unlink()
    with pytest.raises(OutputError, match="every checkpoint in") as caught:
        load(run)
    assert "begin the run from its start" in caught.value.hint


def test_a_file_that_the_digests_leave_out_is_damage(run, state):
    path = save_checkpoint(run, state)
    (path / "optimizer.safetensors").unlink()
    lines = (path / "SHA256SUMS").read_text().splitlines(keepends=True)
    (path / "SHA256SUMS").write_text("".join(line for line in lines if "optimizer" not in line))
    with pytest.raises(OutputError, match="every checkpoint in"):
        load(run)


def test_a_checkpoint_of_another_format_is_said_to_be_one(run, state, monkeypatch):
    monkeypatch.setattr("tlf.engine.checkpoint.FORMAT_VERSION", 1)
    save_checkpoint(run, state)
    monkeypatch.undo()
    said = []
    with pytest.raises(OutputError):
        load_checkpoint(run, said.append)
    assert "its format is 1, not 2" in said[0]


def test_the_digests_are_checked_by_the_usual_tool_too(run, state):
    path = save_checkpoint(run, state)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=path, check=True)


def test_what_is_half_written_or_half_removed_is_no_checkpoint_and_goes_away(run, state):
    save_checkpoint(run, state)
    half = run / "checkpoints" / ".000002.tmp"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert load(run)[0] is not None
    assert not half.exists()


@pytest.mark.parametrize("fails", ["write_tensors", "write_json", "write_text", "sync_folder"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(run, state, monkeypatch, fails):
    save_checkpoint(run, state)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"tlf.engine.checkpoint.{fails}", fail)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(run, replace(state, position=Position(2, 2, 2)))
    monkeypatch.undo()
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["000001"]
    assert_equal(load(run)[0], state)


def test_no_file_of_a_checkpoint_is_a_pickle(run, state):
    names = {path.name for path in save_checkpoint(run, state).iterdir()}
    assert names == {*(f"{name}.safetensors" for name in FILES), "state.json", "SHA256SUMS"}
    json.loads((run / "checkpoints" / "000001" / "state.json").read_text())


@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints"])
def test_nothing_is_cut_off_or_removed_that_a_link_leads_to(run, state, name):
    save_checkpoint(run, state)
    (run / name).rename(run / "precious")
    (run / name).symlink_to(run / "precious")
    with pytest.raises(OutputError, match="is a link"):
        load(run)


def test_a_file_that_is_nested_without_end_is_damage(run, state):
    path = save_checkpoint(run, state)
    (path / "state.json").write_text("[" * 100_000)
    with pytest.raises(OutputError, match="every checkpoint in"):
        load(run)
