"""Images without labels are listed in an order that a user expects."""

import os

import pytest

from tlf.data import list_images
from tlf.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.png", "inside/c.tif", ".cache/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def _names(folder):
    return [path.relative_to(folder).as_posix() for path in list_images([folder])]


def test_a_folder_gives_its_images_sorted_and_those_inside(folder):
    (folder / "inside" / "circle").symlink_to(folder)
    assert _names(folder) == ["a.PNG", "b.jpg", "inside/c.tif"]


def test_links_that_lead_nowhere_are_listed_so_that_reading_says_so(folder):
    for name, target in (("far", "nowhere"), ("long", "x" * 300), ("self", "self.png")):
        (folder / f"{name}.png").symlink_to(target)
    assert _names(folder) == ["a.PNG", "b.jpg", "far.png", "long.png", "self.png", "inside/c.tif"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_in_a_folder_is_no_image_whatever_links_to_it(folder):
    os.mkfifo(folder / "pipe.png")
    (folder / "inside" / "linked.png").symlink_to(folder / "pipe.png")
    assert _names(folder) == ["a.PNG", "b.jpg", "inside/c.tif"]


def test_a_folder_that_may_not_be_read_is_an_error(folder, monkeypatch):
    def iterdir(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(folder), "iterdir", iterdir)
    with pytest.raises(DataError, match=r"cannot be read \(permission denied\)"):
        list_images([folder])


def test_files_come_as_they_are_named_whatever_their_ending(folder):
    named = [folder / "notes.txt", folder / "b.jpg", folder / "a.PNG"]
    assert list_images(named) == named


def test_what_does_not_exist_is_an_error(folder):
    with pytest.raises(DataError, match=r"`.*nowhere.jpg` does not exist"):
        list_images([folder / "b.jpg", folder / "nowhere.jpg"])
    with pytest.raises(DataError, match="does not exist"):
        list_images([folder / ("x" * 300)])


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no images") as caught:
        list_images([tmp_path])
    assert ".jpg .pbm" in caught.value.hint
