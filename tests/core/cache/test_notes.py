"""Notes are there as they were, or not at all."""

import pytest

from tlf.cache import Notes

ABOUT = {"model": "tiny", "size": 32}


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path / "notes")


def test_a_note_is_found_by_what_it_is_about(notes):
    notes.put(ABOUT, "two\nlines")
    assert notes.get({"size": 32, "model": "tiny"}) == "two\nlines"
    assert notes.get({**ABOUT, "size": 33}) is None


def test_a_note_with_any_byte_changed_is_not_there(notes, tmp_path):
    notes.put(ABOUT, "some text")
    (path,) = (tmp_path / "notes").iterdir()
    whole = path.read_bytes()
    for place in range(len(whole)):
        for flipped in (1, 128):
            damaged = bytearray(whole)
            damaged[place] ^= flipped
            path.write_bytes(damaged)
            assert notes.get(ABOUT) in (None, "some text")
        path.write_bytes(whole[:place])
        assert notes.get(ABOUT) is None


def test_what_cannot_be_written_is_not_kept_and_no_error(tmp_path):
    (tmp_path / "notes").write_text("a file in its place")
    notes = Notes(tmp_path / "notes")
    notes.put(ABOUT, "text")
    assert notes.get(ABOUT) is None
    assert notes.clear() == 0


def test_notes_can_be_removed(notes):
    notes.put(ABOUT, "text")
    assert notes.clear() > 0
    assert notes.get(ABOUT) is None
