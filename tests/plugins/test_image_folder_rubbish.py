"""Folders as they are found: odd names, links, leftovers, and what is no file at all."""

import os
import socket
import time
from pathlib import Path

import pytest
from PIL import Image

from tlf.data.audit import check_dataset
from tlf.errors import DataError
from tlf_builtin.image_folder.options import ImageFolderOptions
from tlf_builtin.image_folder.source import ImageFolder


def _write(path, content=b"an image"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def folder(tmp_path):
    """Two classes of two images, split."""
    for split in ("train", "val"):
        for name in ("a", "b"):
            for index in range(2):
                _write(tmp_path / split / name / f"{index}.jpg")
    return tmp_path


def _open(folder):
    options = ImageFolderOptions(train="train", validation="val")
    dataset = ImageFolder(options, folder).open()
    check_dataset(dataset)
    return dataset


def _train(folder):
    return [item.id.removeprefix("train/") for item in _open(folder).splits["train"]]


USUAL = ["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="there are no such names")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines.jpg", r"two\nlines.jpg"),
        ("tab\t.jpg", r"tab\t.jpg"),
        ("\x1b[2J\x1b[31m.jpg", r"\x1b[2J\x1b[31m.jpg"),
        ("\u2028.jpg", r"\u2028.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), r"caf\udce9.jpg"),
        ("'\"`$(touch x);&|<>.jpg", "'\"`$(touch x);&|<>.jpg"),
        ("--help.jpg", "--help.jpg"),
        ("-rf.jpg", "-rf.jpg"),
        ("[red]{0}%s.jpg", "[red]{0}%s.jpg"),
        (" spaces .jpg", " spaces .jpg"),
        ("dots...jpg", "dots...jpg"),
        ("写真　👩‍🔬 é.jpg", "写真　👩‍🔬 é.jpg"),
        ("x" * 251 + ".jpg", "x" * 251 + ".jpg"),
    ],
)
def test_an_image_of_any_name_is_read_and_shown_in_one_line(folder, name, shown):
    try:
        _write(folder / "train/b" / name, b"odd")
    except OSError:
        pytest.skip("this file system takes no such names")
    items = {item.id: item for item in _open(folder).splits["train"]}
    assert items[f"train/b/{shown}"].read() == b"odd"
    assert len(items) == 5


@pytest.mark.skipif(os.name == "nt", reason="there are no such names")
@pytest.mark.parametrize(
    "name", ["c\nd", "\x1b[31m", os.fsdecode(b"\xe9"), "c.", "c ", "-c", "c.jpg"]
)
def test_a_class_of_any_name_is_a_class_and_shown_in_one_line(folder, name):
    try:
        for split in ("train", "val"):
            _write(folder / split / name / "0.jpg")
    except OSError:
        pytest.skip("this file system takes no such names")
    dataset = _open(folder)
    assert len(dataset.classes) == 3
    assert all(line.isprintable() for line in dataset.classes)
    assert [item.label for item in dataset.splits["validation"]].count(0) in (1, 2)


@pytest.mark.parametrize(
    "name", ["jpg. ", "photo.jpg.", "photo.jpg ", "photo.jpg~", "photo.jpg.part"]
)
def test_what_does_not_end_like_an_image_is_passed_over_and_noted(folder, name):
    _write(folder / "train/a" / name)
    assert _train(folder) == USUAL
    assert "passed over 1 file" in _open(folder).notes[0]


@pytest.mark.parametrize(
    "leftover",
    [
        "train/__MACOSX/a/._0.jpg",
        "train/a/__MACOSX/0.jpg",
        "train/a/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg",
        "train/$RECYCLE.BIN/0.jpg",
        "train/System Volume Information/0.jpg",
        "train/lost+found/0.jpg",
        "train/.git/a.jpg",
        "train/a/.ipynb_checkpoints/0-checkpoint.jpg",
        "train/.DS_Store",
        "train/a/._0.jpg",
        "train/a/.hidden.jpg",
    ],
)
def test_what_systems_leave_behind_is_not_there(folder, leftover):
    _write(folder / leftover)
    assert _train(folder) == USUAL
    assert _open(folder).notes == ()


@pytest.mark.parametrize(
    "leftover", ["train/Thumbs.db", "train/a/Thumbs.db", "train/a/desktop.ini"]
)
def test_other_leftovers_are_noted(folder, leftover):
    _write(folder / leftover)
    assert _train(folder) == USUAL
    assert "that is no image by name" in _open(folder).notes[0]


def test_a_file_beside_the_classes_is_no_class(folder):
    for split in ("train", "val"):
        _write(folder / split / "c")
    assert _open(folder).classes == ("a", "b")
    assert _open(folder).notes == ("passed over 2 files that are no images by name, such as `c`",)


def test_links_that_lead_in_a_circle_end(folder):
    (folder / "train/a/up").symlink_to(folder / "train/a")
    (folder / "train/a/top").symlink_to("..")
    (folder / "train/a/deep").mkdir()
    (folder / "train/a/deep/top").symlink_to("../../..")
    (folder / "train/a/self").symlink_to(folder / "train/a/self")
    (folder / "train/a/one").symlink_to(folder / "train/a/two")
    (folder / "train/a/two").symlink_to(folder / "train/a/one")
    # A link to a folder above makes no image of another class one of this.
    assert _train(folder) == USUAL


def test_a_link_to_an_image_elsewhere_is_an_image(folder, tmp_path):
    _write(tmp_path / "elsewhere/far.jpg", b"far away")
    (folder / "train/b/near.jpg").symlink_to(tmp_path / "elsewhere/far.jpg")
    assert _open(folder).splits["train"][-1].read() == b"far away"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there are no devices here")
def test_what_is_no_file_is_no_image_and_nobody_waits_for_it(folder, monkeypatch):
    os.mkfifo(folder / "train/a/pipe.jpg")
    (folder / "train/a/device.jpg").symlink_to("/dev/zero")
    (folder / "train/a/terminal.jpg").symlink_to("/dev/tty")
    monkeypatch.chdir(folder / "train/a")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")
        assert _train(folder) == USUAL
        assert "passed over 4 files that are no images by name" in _open(folder).notes[0]


def test_an_image_that_may_not_be_looked_at_is_the_audits_question(folder, monkeypatch):
    looked = type(folder).stat

    def stat(path, **options):
        if path.name == "1.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path, **options)

    monkeypatch.setattr(type(folder), "stat", stat)
    assert _train(folder) == USUAL


def test_a_folder_that_goes_while_it_is_listed_is_an_error(folder, monkeypatch):
    listed = type(folder).iterdir

    def iterdir(path):
        if path.name == "b":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return listed(path)

    monkeypatch.setattr(type(folder), "iterdir", iterdir)
    with pytest.raises(DataError) as caught:
        _open(folder)
    assert str(caught.value) == (
        f"`{folder / 'train/b'}` cannot be read (no such file or directory)"
    )


def test_images_that_come_while_the_folder_is_listed_are_there_or_not(folder, monkeypatch):
    listed = type(folder).iterdir

    def iterdir(path):
        found = list(listed(path))
        if path.name in ("a", "b"):
            _write(path / "new.jpg")
        return iter(found)

    monkeypatch.setattr(type(folder), "iterdir", iterdir)
    assert _train(folder) == USUAL


@pytest.mark.slow
def test_fifty_thousand_images_are_listed_in_seconds(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "one.png")
    for split, count in (("train", 20_000), ("val", 5_000)):
        for name in ("a", "b"):
            place = tmp_path / split / name
            place.mkdir(parents=True)
            for index in range(count):
                os.link(tmp_path / "one.png", place / f"{index:05d}.png")
    started = time.process_time()
    dataset = _open(tmp_path)
    assert sum(map(len, dataset.splits.values())) == 50_000
    assert time.process_time() - started < 10
