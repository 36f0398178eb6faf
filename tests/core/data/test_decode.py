"""Bytes and arrays become images, and everything that is no image fails in one way."""

import contextlib
import hashlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from tlf.data.decode import UnreadableImageError, decode, digest
from tlf.data.quiet import pil_warnings_ignored


def _encoded(form="PNG", size=(40, 30), **options):
    content = io.BytesIO()
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, form, **options)
    return content.getvalue(), pixels


def _reason(content):
    with pytest.raises(UnreadableImageError) as caught:
        decode(content)
    return caught.value.reason


def test_a_file_becomes_its_pixels():
    content, pixels = _encoded()
    assert (np.asarray(decode(content)) == pixels).all()


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_an_array_becomes_its_pixels(shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert (np.asarray(decode(pixels)) == pixels).all()
    flipped = pixels[:, ::-1]
    assert (np.asarray(decode(flipped)) == flipped).all()


def test_an_empty_file_is_unreadable():
    assert _reason(b"") == "the file is empty"


@pytest.mark.parametrize("content", [b"hello, world", b"\x00" * 500, b"<svg></svg>", b"%PDF-1.4"])
def test_what_is_no_image_is_unreadable(content):
    assert _reason(content) == "no image in a format that is known"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_file_is_unreadable(form, share):
    content, _ = _encoded(form, size=(200, 150))
    reason = _reason(content[: int(share * len(content))])
    assert reason
    assert reason[0] == reason[0].lower()
    assert not reason.endswith(".")


def test_a_damaged_png_is_unreadable():
    content, _ = _encoded()
    spoilt = bytearray(content)
    spoilt[len(spoilt) // 2] ^= 0xFF
    assert _reason(bytes(spoilt))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_file_with_any_byte_spoilt_is_an_image_or_unreadable(form):
    content, _ = _encoded(form)
    rng = np.random.default_rng(2)
    with pil_warnings_ignored():
        for _ in range(60):
            spoilt = bytearray(content)
            for place in rng.integers(0, min(len(spoilt), 400), 3):
                spoilt[place] = rng.integers(0, 256)
            # Any other error ends the test.
            with contextlib.suppress(UnreadableImageError):
                assert decode(bytes(spoilt)).size


def test_an_absurdly_large_image_is_unreadable_before_it_fills_the_memory():
    content, _ = _encoded()
    # The width and height of a PNG are in its first chunk, whose checksum comes after 17 bytes.
    for side in (10_000, 100_000):
        chunk = b"IHDR" + struct.pack(">II", side, side) + content[24:29]
        bomb = content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]
        with pil_warnings_ignored():
            assert "safe to decode" in _reason(bomb)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_an_array_of_another_form_is_unreadable(pixels):
    assert str(pixels.dtype) in _reason(pixels)


def test_something_else_is_unreadable():
    assert "neither bytes nor an array" in _reason("path/of/a/file.png")


def test_a_digest_is_the_sha256_of_the_file():
    assert digest(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_the_digest_of_pixels_speaks_of_shape_and_values():
    pixels = np.arange(12, dtype=np.uint8)
    digests = {
        digest(pixels.reshape(3, 4)),
        digest(pixels.reshape(4, 3)),
        digest(pixels[::-1].reshape(3, 4)),
    }
    assert len(digests) == 3
    assert digest(pixels.reshape(3, 4)) == digest(pixels.reshape(4, 3).T.copy().T.reshape(3, 4))


def test_the_warnings_of_pil_are_ignored_and_only_those_and_only_then():
    code = compile("import warnings\nwarnings.warn('odd')", "PIL/odd.py", "exec")
    before = list(warnings.filters)
    with pil_warnings_ignored(), pil_warnings_ignored():
        exec(code, {"__name__": "PIL.TiffImagePlugin"})
        with pytest.raises(UserWarning, match="odd"):
            exec(code, {"__name__": "tlf.data"})
    assert warnings.filters == before
    with pytest.raises(UserWarning, match="odd"):
        exec(code, {"__name__": "PIL.TiffImagePlugin"})


@pytest.mark.parametrize("form", ["ICNS", "PCX", "SGI", "TGA", "MSP", "SPIDER"])
def test_a_format_that_nobody_takes_photographs_in_is_unreadable(form):
    content = io.BytesIO()
    Image.new({"MSP": "1", "SPIDER": "F"}.get(form, "RGB"), (16, 16)).save(content, form)
    assert _reason(content.getvalue()) == "no image in a format that is known"


@pytest.mark.parametrize("form", ["JPEG2000", "MPO", "DIB", "AVIF"])
def test_what_cameras_and_browsers_write_is_read(form):
    library = {"JPEG2000": "jpg_2000", "AVIF": "avif"}.get(form)
    if library is not None and not features.check(library):
        pytest.skip(f"PIL was built without {form}")
    content, _ = _encoded(form)
    assert decode(content).size == (40, 30)
