import shutil
import stat

import pytest

from tlf.engine.directory import RunDirectory
from tlf.errors import OutputError


def test_nothing_is_left_of_a_directory_that_was_not_published(tmp_path):
    with RunDirectory(tmp_path, "run") as directory:
        directory.write_text("spec.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_made_for_nothing_is_removed_and_one_that_was_there_is_not(tmp_path):
    (tmp_path / "there").mkdir()
    for output in (tmp_path / "there", tmp_path / "new"):
        with RunDirectory(output, "run"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_published_directory_appears_with_its_files(tmp_path):
    with RunDirectory(tmp_path, "run") as directory:
        directory.write_text("spec.json", "{}")
        assert not (tmp_path / "run").exists()
        published = directory.publish()
    assert published == tmp_path / "run"
    assert [path.name for path in published.iterdir()] == ["spec.json"]


def test_a_taken_name_gets_a_number_and_is_not_touched(tmp_path):
    for number in range(3):
        with RunDirectory(tmp_path, "run") as directory:
            directory.write_text("number", str(number))
            directory.publish()
    found = {path.name: (path / "number").read_text() for path in tmp_path.iterdir()}
    assert found == {"run": "0", "run-2": "1", "run-3": "2"}


def test_two_runs_that_start_together_get_two_names(tmp_path):
    with RunDirectory(tmp_path, "run") as first, RunDirectory(tmp_path, "run") as second:
        first.write_text("who", "first")
        second.write_text("who", "second")
        assert first.publish() != second.publish()


def test_an_exact_directory_that_exists_is_refused_at_once(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(
        OutputError, match=r"`.*mine` exists already, and a run is never overwritten"
    ):
        RunDirectory(tmp_path, "run", exact=tmp_path / "mine")


def test_an_exact_directory_that_appears_meanwhile_is_not_touched(tmp_path):
    with RunDirectory(tmp_path, "run", exact=tmp_path / "mine") as directory:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "precious").touch()
        with pytest.raises(OutputError, match="exists already"):
            directory.publish()
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "precious"]


def test_a_place_that_cannot_be_written_to_is_said_before_anything_is_done(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"`.*file` cannot be written to"):
        RunDirectory(tmp_path / "file", "run")


def test_a_run_directory_is_as_open_as_any_new_folder(tmp_path):
    (tmp_path / "plain").mkdir()
    with RunDirectory(tmp_path, "run") as directory:
        published = directory.publish()
    mode = stat.S_IMODE(published.stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("exact", [False, True])
def test_an_output_folder_that_vanished_is_an_error_and_no_endless_search(tmp_path, exact):
    output = tmp_path / "runs"
    place = output / "run" if exact else None
    with RunDirectory(output, "run", place) as directory:
        shutil.rmtree(output)
        with pytest.raises(OutputError, match="cannot be made"):
            directory.publish()
