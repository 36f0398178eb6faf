import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tlf.engine.files import (
    _system_error,
    append_json_line,
    file_digest,
    read_json,
    read_json_lines,
    remove_half_written,
    replace_bytes,
    write_json,
    write_new_text,
    write_tensors,
    write_text,
)
from tlf.errors import OutputError


def test_a_file_appears_whole_and_leaves_nothing_beside_it(tmp_path):
    write_text(tmp_path / "a.txt", "héllo")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "héllo"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}


def test_json_lines_are_added_at_the_end(tmp_path):
    for number in range(3):
        append_json_line(tmp_path / "lines", {"n": number})
    lines = (tmp_path / "lines").read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [0, 1, 2]


def test_tensors_that_share_storage_are_written_and_read_as_they_are(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {"whole": whole, "same": whole, "part": whole[1:], "turned": whole.T}
    write_tensors(tmp_path / "t.safetensors", tensors)
    for name, tensor in load_file(tmp_path / "t.safetensors").items():
        assert tensor.equal(tensors[name])


def test_channels_last_tensors_keep_their_values(tmp_path):
    image = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    write_tensors(tmp_path / "t.safetensors", {"image": image})
    assert load_file(tmp_path / "t.safetensors")["image"].equal(image)


def test_equal_tensors_make_equal_files(tmp_path):
    for name in ("a", "b"):
        write_tensors(tmp_path / name, {"x": torch.ones(5), "y": torch.zeros(2)}, {"format": "pt"})
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b")


def test_what_lies_under_a_name_of_ours_as_a_link_is_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".a.txt.tmp").symlink_to(tmp_path / "precious")
    write_text(tmp_path / "a.txt", "text")
    (tmp_path / "lines").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic link"):
        append_json_line(tmp_path / "lines", {})
    assert (tmp_path / "precious").read_text() == "mine"


def test_what_safetensors_cannot_write_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_tensors(tmp_path / "nowhere" / "a.safetensors", {"a": torch.zeros(1)})
    assert "nowhere" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "number"),
    [("I/O error: No space left on device (os error 28)", 28), ("something else", 5)],
)
def test_an_error_of_safetensors_has_the_systems_number(said, number):
    error = _system_error(SafetensorError(said), Path("a.safetensors"))
    assert (error.errno, error.filename) == (number, "a.safetensors")


def test_what_a_killed_process_had_begun_is_removed_and_nothing_else(tmp_path):
    for name in (".a.json.0123.tmp", "a.json", ".lock"):
        (tmp_path / name).touch()
    remove_half_written(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "a.json"]


def test_lines_end_where_they_were_ended_and_nowhere_else(tmp_path):
    values = [{"name": "one\u2028two\x85three"}, {"name": "four"}]
    for value in values:
        append_json_line(tmp_path / "lines", value)
    assert read_json_lines(tmp_path / "lines") == values
    (tmp_path / "lines").write_text("[]\n")
    with pytest.raises(ValueError, match="no JSON object"):
        read_json_lines(tmp_path / "lines")


def test_a_file_that_is_nested_without_end_is_no_json(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_no_json(tmp_path, number):
    path = tmp_path / "a.json"
    path.write_text(f'{{"a": {number}, "b": 0.5}}')
    for read in (read_json, read_json_lines):
        with pytest.raises(ValueError, match=f"`{number}` is no number"):
            read(path)
    path.write_text('{"a": -1.5e3, "b": 2}')
    assert read_json(path) == {"a": -1500.0, "b": 2}


def test_a_new_file_is_written_whole_and_one_that_is_there_is_left_alone(tmp_path):
    write_new_text(tmp_path / "a.svg", "mine")
    with pytest.raises(FileExistsError):
        write_new_text(tmp_path / "a.svg", "yours")
    assert (tmp_path / "a.svg").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


def test_a_new_file_can_be_written_where_files_have_one_name_only(tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write_new_text(tmp_path / "a.svg", "mine")
    with pytest.raises(FileExistsError):
        write_new_text(tmp_path / "a.svg", "yours")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_that_nobody_has_changed_is_replaced_and_keeps_its_mode_and_its_link(tmp_path):
    path, link = tmp_path / "a.json", tmp_path / "link.json"
    path.write_bytes(b"{}\r\n")
    path.chmod(0o640)
    link.symlink_to(path)
    replace_bytes(link, b"{}\r\n", b"[]\r\n")
    assert path.read_bytes() == b"[]\r\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()


def test_a_file_that_somebody_has_changed_is_left_alone(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"theirs")
    with pytest.raises(OutputError, match="has changed since it was read"):
        replace_bytes(path, b"before", b"mine")
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"theirs"]
