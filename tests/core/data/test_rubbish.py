"""What people keep among their images is an image, the same each time, or unreadable with a reason."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from tlf.data import UnreadableImageError, decode, load_dataset, reader
from tlf.data.quiet import pil_warnings_ignored
from tlf.plugin import Dataset, Item, to_rgb


def _image(size=(40, 30), seed=1):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def _encoded(image, form, **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def _pixels(content):
    with pil_warnings_ignored():
        return np.asarray(to_rgb(decode(content)))


def _reason(content):
    with pil_warnings_ignored(), pytest.raises(UnreadableImageError) as caught:
        decode(content)
    return caught.value.reason


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _with_chunks(*chunks):
    """Return a PNG with more chunks before its pixels, and its pixels."""
    content = _encoded(_image(), "PNG")
    return content[:33] + b"".join(_chunk(*one) for one in chunks) + content[33:]


# --- what is no image ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"a list of files\n",
        b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n",
        b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>not found</body></html>\n",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        b'{"message": "rate limit exceeded"}',
        b"PK\x03\x04" + bytes(200),
        b"\x00\x00\x00\x18ftypheic" + bytes(200),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    ],
    ids=["text", "pdf", "html", "svg", "json", "zip", "heic", "git-lfs"],
)
def test_other_files_by_the_name_of_an_image(content):
    assert _reason(content) == "no image in a format that is known"


def test_no_program_is_started_for_a_postscript_file(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a program is started")

    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", "gs")
    monkeypatch.setattr("subprocess.Popen", refuse)
    monkeypatch.setattr("subprocess.check_call", refuse)
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    assert _reason(content) == "a PostScript file, which is a program and no image"


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_file_that_was_cut_off_anywhere(form):
    content = _encoded(_image((200, 150)), form)
    for share in (0.01, 0.1, 0.5, 0.99):
        assert _reason(content[: int(share * len(content))])


# --- what is huge -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"P6 30000 30000 255\n",
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"," + bytes(9) + b"\x02\x00;",
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 40000, 40000, 1, 24, *[0] * 6),
    ],
    ids=["ppm", "gif", "bmp"],
)
def test_a_small_file_that_claims_to_be_huge_takes_no_memory(content, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("memory is taken")

    monkeypatch.setattr(Image.Image, "load", refuse)
    monkeypatch.setattr(Image.core, "new", refuse)
    assert "pixels that are safe to decode" in _reason(content)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_note_that_unpacks_to_much_more_than_the_picture(kind):
    bomb = zlib.compress(bytes(70_000_000))
    assert "too large" in _reason(_with_chunks((kind, b"Comment\0\0" + bomb)))


def test_very_many_notes():
    note = (b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 900_000))
    assert "too much memory" in _reason(_with_chunks(*[note] * 80))


def test_one_long_note_does_not_matter():
    content = _with_chunks((b"tEXt", b"Comment\0" + b"a" * 3_000_000))
    assert (_pixels(content) == np.asarray(_image())).all()


def test_more_pixels_in_a_png_than_it_has_room_for_are_left_alone():
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(bytes(100_000_000)))
    content = b"\x89PNG\r\n\x1a\n" + header + pixels + _chunk(b"IEND", b"")
    started = time.process_time()
    assert _pixels(content).tolist() == [[[0, 0, 0]] * 4] * 4
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (1, 1)])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_line_of_pixels_is_an_image(size, form):
    assert _pixels(_encoded(Image.new("RGB", size, "white"), form)).shape == (*size[::-1], 3)


def test_a_file_too_large_to_be_an_image_is_not_read(tmp_path, transform, make_dataset):
    path = tmp_path / "film.jpg"
    with path.open("wb") as file:
        # A hole in the file: it takes no room on the disk.
        file.truncate(reader.LARGEST_FILE + 1)

    def refuse():
        raise AssertionError("it is read")

    usual = make_dataset()
    film = Item("train/film.jpg", 0, refuse, path)
    dataset = Dataset(usual.classes, {**usual.splits, "train": [*usual.splits["train"], film]})
    loaded = load_dataset(dataset, transform, unreadable="skip-and-report", workers=2)
    assert [(one.id, one.reason) for one in loaded.skipped] == [
        ("train/film.jpg", "a file of 2.0 GB, more than the 2 GB that are read")
    ]


# --- what moves ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "options"),
    [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})],
    ids=["gif", "apng", "webp", "tiff"],
)
def test_of_an_animation_the_first_frame_is_taken_each_time(form, options):
    frames = [_image((16, 16), seed) for seed in range(5)]
    options = {"save_all": True, "append_images": frames[1:], **options}
    content = _encoded(frames[0], form, **options)
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.n_frames == 5
    first = _pixels(content)
    assert (_pixels(content) == first).all()
    # A palette of 256 colours holds all that 16 by 16 pixels have.
    assert np.abs(first.astype(int) - np.asarray(frames[0])).max() <= (8 if form == "GIF" else 0)


@pytest.mark.slow
def test_of_very_many_frames_only_the_first_is_looked_at():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3000, 8, 8), dtype=np.uint8)
    frames = [Image.fromarray(one) for one in pixels]
    for form in ("GIF", "TIFF"):
        content = _encoded(frames[0], form, save_all=True, append_images=frames[1:])
        started = time.process_time()
        assert (_pixels(content)[..., 0] == pixels[0]).all()
        assert time.process_time() - started < 0.1


# --- notes beside the pixels --------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("profile", [b"garbage" * 20, b"\0" * 1_000_000], ids=["wrong", "large"])
def test_a_wrong_colour_profile_does_not_matter(form, profile):
    plain = _pixels(_encoded(_image(), form))
    assert (_pixels(_encoded(_image(), form, icc_profile=profile)) == plain).all()


@pytest.mark.parametrize(
    "profile", [b"p\0\0" + zlib.compress(b"wrong"), b"p\0\0no zlib", b"p\0\7x"]
)
def test_a_damaged_colour_profile_of_a_png_is_an_image_or_unreadable(profile):
    content = _with_chunks((b"iCCP", profile))
    if profile.startswith(b"p\0\7"):
        assert _reason(content)
    else:
        assert (_pixels(content) == np.asarray(_image())).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage and more of it",
        b"Exif\0\0II*\0\x08\0\0\0",
        # A tag of 65535 values of an unknown type, in a directory that follows itself.
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x63\0\xff\xff\0\0\xff\xff\0\0\x08\0\0\0",
        # The camera was held in a ninth way.
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0",
        # How it was held is a text.
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0up!\0\0\0\0\0",
    ],
    ids=["garbage", "cut off", "a circle", "ninth", "text"],
)
def test_of_an_image_with_corrupt_exif_the_pixels_are_used_as_they_are(form, exif):
    plain = _pixels(_encoded(_image(), form))
    assert (_pixels(_encoded(_image(), form, exif=exif)) == plain).all()
