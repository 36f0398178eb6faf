"""Images without labels are listed in an order that a user expects."""

import pytest

from tlf.data import list_images
from tlf.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.png", "inside/c.tif", ".cache/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folder_gives_its_images_sorted_and_those_inside(folder):
    (folder / "inside" / "circle").symlink_to(folder)
    found = [path.relative_to(folder).as_posix() for path in list_images([folder])]
    assert found == ["a.PNG", "b.jpg", "inside/c.tif"]


def test_files_come_as_they_are_named_whatever_their_ending(folder):
    named = [folder / "notes.txt", folder / "b.jpg", folder / "a.PNG"]
    assert list_images(named) == named


def test_what_does_not_exist_is_an_error(folder):
    with pytest.raises(DataError, match=r"`.*nowhere.jpg` does not exist"):
        list_images([folder / "b.jpg", folder / "nowhere.jpg"])


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no images") as caught:
        list_images([tmp_path])
    assert ".jpg .pbm" in caught.value.hint
