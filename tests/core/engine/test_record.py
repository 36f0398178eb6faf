"""What a run was told and made with is read back, and compared with what is here now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tlf.engine.record import changes, read_record
from tlf.errors import OutputError


def _environment(**other: Any) -> dict[str, Any]:
    part = {
        "kind": "strategy",
        "name": "probe",
        "distribution": "tlf",
        "version": "0.1.0",
        "code_digest": "a" * 64,
    }
    return {
        "python": "3.12.1",
        "platform": "Linux",
        "processor": "x86_64",
        "threads": 2,
        "libraries": {"tlf": "0.1.0", "torch": "2.14.0"},
        "plugins": [part],
        "data": {"train": {"images": 5, "digest": "b" * 64}},
        "weights": {"file": "here", "sha256": "c" * 64},
        **other,
    }


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)
    return folder


def test_a_record_has_the_spec_with_the_folder_that_it_was_read_from(tmp_path: Path) -> None:
    folder = _write(
        tmp_path / "run",
        spec='{"name": "mine"}',
        plan='{"seed": 3}',
        environment=json.dumps(_environment(folder="/somewhere/else")),
    )

    record = read_record(folder)

    assert record.raw.values == {"name": "mine"}
    assert record.raw.text == '{"name": "mine"}'
    assert record.raw.folder == Path("/somewhere/else")
    assert record.plan == {"seed": 3}
    assert record.environment == _environment(folder="/somewhere/else")


@pytest.mark.parametrize("missing", ["spec", "plan", "environment"])
def test_a_folder_without_one_of_the_files_is_no_run_directory(
    tmp_path: Path, missing: str
) -> None:
    folder = _write(tmp_path / "run", spec="{}", plan="{}", environment="{}")
    (folder / f"{missing}.json").unlink()

    with pytest.raises(OutputError, match="is no run directory"):
        read_record(folder)


def test_a_folder_that_is_not_there_or_is_a_file_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match="is a file, and no run directory"):
        read_record(tmp_path / "file")
    with pytest.raises(OutputError, match="does not exist"):
        read_record(tmp_path / "nothing")


@pytest.mark.parametrize("damaged", ["spec", "plan", "environment"])
@pytest.mark.parametrize("text", ["[]", "{", "\udcff"])
def test_a_damaged_file_is_said_to_be_so(tmp_path: Path, damaged: str, text: str) -> None:
    folder = _write(tmp_path / "run", spec="{}", plan="{}", environment="{}")
    (folder / f"{damaged}.json").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(OutputError, match="cannot be read"):
        read_record(folder)


def test_nothing_has_changed_between_equal_environments() -> None:
    assert changes(_environment(), _environment()) == []


def test_what_is_not_compared_may_differ() -> None:
    then, now = _environment(started="then", folder="/a"), _environment(started="now", folder="/b")
    now["weights"]["file"] = "there"

    assert changes(then, now) == []


def test_every_kind_of_change_is_found_and_said() -> None:
    now = _environment(
        threads=4,
        libraries={"tlf": "0.2.0", "torch": "2.15.0"},
        data={
            "train": {"images": 6, "digest": "d" * 64},
            "test": {"images": 1, "digest": "e" * 64},
        },
        weights=None,
    )
    now["plugins"][0]["code_digest"] = "f" * 64

    found = {change.kind: str(change) for change in changes(_environment(), now)[:2]}
    said = [str(change) for change in changes(_environment(), now)]

    assert found.keys() == {"weights", "data"}
    assert said == [
        "the pretrained weights: cccccccccccc then, none now",
        "the images of `train`: 5 images bbbbbbbbbbbb then, 6 images dddddddddddd now",
        "the images of `test`: 0 images none then, 1 images eeeeeeeeeeee now",
        "the code of the strategy `probe`: aaaaaaaaaaaa then, ffffffffffff now",
        "tlf: 0.1.0 then, 0.2.0 now",
        "torch: 2.14.0 then, 2.15.0 now",
        "threads: 2 then, 4 now",
    ]


def test_another_version_of_a_plugin_is_said_once_and_not_its_code_too() -> None:
    now = _environment()
    now["plugins"][0] |= {"version": "0.2.0", "code_digest": "f" * 64}

    (change,) = changes(_environment(), now)

    assert (change.kind, str(change)) == (
        "plugin",
        "the strategy `probe`: tlf 0.1.0 then, tlf 0.2.0 now",
    )


def test_a_part_that_is_not_used_any_more_is_a_change() -> None:
    (change,) = changes(_environment(), _environment(plugins=[{"kind": "strategy", "name": "x"}]))

    assert str(change) == "the strategy `probe`: tlf 0.1.0 then, not used now"


def test_code_that_cannot_be_found_is_not_compared() -> None:
    now = _environment()
    now["plugins"][0]["code_digest"] = None

    assert changes(_environment(), now) == []


def test_a_record_that_lacks_what_is_compared_is_damaged(tmp_path: Path) -> None:
    folder = _write(tmp_path / "run", spec="{}", plan="{}", environment='{"plugins": [{}]}')

    with pytest.raises(OutputError, match=r"`environment.json` lacks 'kind'"):
        read_record(folder).changes(_environment())
