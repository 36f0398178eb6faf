"""A run on a folder full of what should not be there, and on one that changes meanwhile."""

import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tlf
from tlf.errors import DataError


@pytest.fixture
def images(photographs, tmp_path):
    """A copy of the photographs, to be spoilt."""
    return Path(shutil.copytree(photographs, tmp_path / "images"))


@pytest.fixture
def run(small_spec, images):
    def run(unreadable="error", listener=None, **changes):
        options = {"train": str(images / "train"), "validation": str(images / "val")}
        data = {"name": "image-folder", "options": options, "unreadable": unreadable}
        training = {"epochs": 2, "batch_size": 8, "views": "none"}
        spec = {**small_spec, "data": data, "training": training, **changes}
        return tlf.run(spec, listener=listener)

    return run


def _claims_to_be_huge(path):
    content = path.read_bytes()
    chunk = b"IHDR" + struct.pack(">II", 100_000, 100_000) + content[24:29]
    return content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]


def _spoil(red):
    """Put what cannot be read into a folder, and return why not, by name."""
    good = red / "00.png"
    Image.open(good).save(red / "good.jpg")
    photograph = (red / "good.jpg").read_bytes()
    files = {
        "cut.png": (good.read_bytes()[:-200], "image file is truncated"),
        "cut.jpg": (photograph[: len(photograph) // 2], "image file is truncated"),
        "empty.jpg": (b"", "the file is empty"),
        "text.jpg": (b"a list of files", "no image in a format that is known"),
        "page.jpg": (b"<!DOCTYPE html><html></html>", "no image in a format that is known"),
        "paper.png": (b"%PDF-1.4\n%%EOF", "no image in a format that is known"),
        "bomb.png": (_claims_to_be_huge(good), "safe to decode"),
        "two\nlines.gif": (b"GIF89a", ""),
    }
    for name, (content, _) in files.items():
        (red / name).write_bytes(content)
    (red / "gone.jpg").symlink_to(red / "nowhere.jpg")
    (red / "circle.jpg").symlink_to(red / "circle.jpg")
    reasons = {name.replace("\n", r"\n"): reason for name, (_, reason) in files.items()}
    return {
        **reasons,
        "gone.jpg": "no such file or directory",
        "circle.jpg": "too many levels of symbolic links",
    }


def _add_odd_images(red):
    """Put images into a folder that are odd, and images all the same; return their names."""
    image = Image.open(red / "00.png")
    other = Image.open(red / "01.png")
    image.save(red / "png.jpg", "PNG")
    image.save(red / "moves.gif", save_all=True, append_images=[other])
    image.save(red / "moves.png", save_all=True, append_images=[other])
    image.save(red / "moves.webp", save_all=True, append_images=[other])
    image.convert("CMYK").save(red / "ink.jpg")
    image.convert("LA").save(red / "alpha.png")
    image.convert("P").save(red / "palette.png", transparency=0)
    image.convert("1").save(red / "bits.tif")
    Image.fromarray(np.full((20, 20), 60_000, np.uint16)).save(red / "16.png")
    Image.fromarray(np.full((20, 20), 0.5, np.float32)).save(red / "float.tiff")
    Image.new("RGB", (1, 60_000), "red").save(red / "line.png")
    image.save(red / "exif.jpg", exif=b"Exif\0\0garbage")
    image.save(red / "profile.jpg", icc_profile=b"garbage")
    image.save(red / "--help.png")
    names = (
        "png.jpg moves.gif moves.png moves.webp ink.jpg alpha.png palette.png bits.tif 16.png "
        "float.tiff line.png exif.jpg profile.jpg --help.png good.jpg"
    )
    return names.split()


def _add_leftovers(folder, red):
    """Put what is no image by name, or hidden, into a folder."""
    (folder / "Thumbs.db").write_bytes(b"thumbs")
    (folder / ".DS_Store").write_bytes(b"store")
    (folder / "__MACOSX/red").mkdir(parents=True)
    (folder / "__MACOSX/red/._00.png").write_bytes(b"fork")
    (red / "readme.txt").write_text("about these images")
    (red / "up").symlink_to(folder)
    if hasattr(os, "mkfifo"):
        os.mkfifo(red / "pipe.jpg")


@pytest.mark.skipif(os.name == "nt", reason="there are no such names and links")
def test_a_folder_full_of_rubbish_is_trained_on_and_all_that_is_left_out_is_listed(run, images):
    train = images / "train"
    reasons = _spoil(train / "red")
    odd = _add_odd_images(train / "red")
    _add_leftovers(train, train / "red")

    with pytest.raises(DataError) as caught:
        run()
    assert str(caught.value).startswith(f"{len(reasons)} of {34 + len(odd) + len(reasons)} images")
    assert all(f"  `train/red/{name}` (train): " in str(caught.value) for name in reasons)
    assert not (images.parent / "runs").exists()

    finished = run("skip-and-report")
    skipped = {one["id"]: one["reason"] for one in finished.report["skipped"]}
    assert skipped.keys() == {f"train/red/{name}" for name in reasons}
    for name, reason in reasons.items():
        assert reason in skipped[f"train/red/{name}"]
    splits = json.loads((finished.directory / "splits.json").read_text())
    usual = {f"train/{name}/{index:02d}.png" for name in ("red", "blue") for index in range(12)}
    assert set(splits["train"]) == {*usual, *(f"train/red/{name}" for name in odd)}
    log = (finished.directory / "log.txt").read_text().splitlines()
    assert sum("warning: left out `train/red/" in line for line in log) == len(reasons)


# --- what changes meanwhile ---------------------------------------------------------------------


class Changing(tlf.Listener):
    """Changes an image at some moment of the run."""

    def __init__(self, change, moment):
        self.change = change
        self.moment = moment

    def planned(self, plan):
        self._at("planned")

    def step_started(self, step):
        self._at("step")

    def _at(self, moment):
        if moment == self.moment:
            self.change()


def _replace(path):
    Image.new("RGB", (40, 48), "green").save(path)


CHANGES = {
    "gone": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "replaced": _replace,
}


def test_an_image_that_goes_before_it_is_read_is_left_out_or_stops_the_run(run, images):
    path = images / "train/red/05.png"
    content = path.read_bytes()
    with pytest.raises(DataError) as caught:
        run(listener=Changing(path.unlink, "planned"))
    assert "`train/red/05.png` (train): no such file or directory" in str(caught.value)
    path.write_bytes(content)
    report = run("skip-and-report", Changing(path.unlink, "planned")).report
    assert [one["id"] for one in report["skipped"]] == ["train/red/05.png"]


def test_an_image_that_comes_after_the_listing_is_not_in_the_run(run, images):
    new = images / "train/red/new.png"
    report = run(listener=Changing(lambda: _replace(new), "planned")).report
    assert new.exists()
    assert report["images"] == {"train": 24, "validation": 10}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("unreadable", ["error", "skip-and-report"])
def test_an_image_that_changes_in_training_stops_the_run_if_it_is_read_again(
    run, images, change, unreadable
):
    path = images / "train/red/05.png"
    changing = Changing(lambda: CHANGES[change](path), "step")
    with pytest.raises(DataError, match=r"`train/red/05.png` has changed since the run began"):
        run(unreadable, changing, cache={"mode": "off"}, strategy="full-fine-tuning")


@pytest.mark.parametrize("change", CHANGES)
def test_an_image_that_changes_in_training_does_not_matter_if_it_is_kept(run, images, change):
    path = images / "train/red/05.png"
    report = run(listener=Changing(lambda: CHANGES[change](path), "step")).report
    assert report["cache"]["rows_computed"] == 34
    assert report["images_decoded"] == 34
