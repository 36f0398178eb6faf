"""Files of every kind, decoded and loaded, are what the network expects: upright, opaque RGB."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from tlf.data.decode import decode
from tlf.plugin import InputConfig
from tlf_builtin.standard.options import StandardOptions
from tlf_builtin.standard.transform import Standard

SIDE = 40
WHITE = (255, 255, 255)


def _file(image, form, **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def _loaded(content, mode):
    """Return the pixels `(40, 40, 3)` that `standard` stores of a file that opens in a mode."""
    image = decode(content)
    assert image.mode == mode
    loaded = Standard(StandardOptions(), InputConfig(size=SIDE, resize=SIDE)).load(image)
    assert loaded.dtype == torch.uint8
    assert tuple(loaded.shape) == (3, SIDE, SIDE)
    return loaded.permute(1, 2, 0).numpy().astype(int)


def _halves(left, right, dtype=np.uint8):
    """Return an array whose left half has one value or colour and whose right half another."""
    value = np.array([left] * (SIDE // 2) + [right] * (SIDE // 2), dtype=dtype)
    return np.repeat(value[None], SIDE, axis=0)


def _is(found, left, right, tolerance=0):
    # The border is left out: JPEG smears it.
    halves = found[:, : SIDE // 2 - 4], found[:, SIDE // 2 + 4 :]
    return all(
        np.abs(half - np.array(colour)).max() <= tolerance
        for half, colour in zip(halves, (left, right), strict=True)
    )


@pytest.mark.parametrize(("form", "tolerance"), [("PNG", 0), ("JPEG", 2), ("TIFF", 0), ("BMP", 0)])
def test_grey(form, tolerance):
    found = _loaded(_file(Image.fromarray(_halves(30, 200)), form), "L")
    assert _is(found, (30,) * 3, (200,) * 3, tolerance)
    assert (found == found[..., :1]).all()


def test_grey_with_alpha_is_mixed_with_white():
    image = Image.fromarray(_halves((100, 255), (100, 51)))
    assert _is(_loaded(_file(image, "PNG"), "LA"), (100,) * 3, (224,) * 3)


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette(form):
    image = Image.fromarray(_halves(0, 1)).convert("P")
    image.putpalette([200, 30, 10, 20, 60, 220])
    assert _is(_loaded(_file(image, form), "P"), (200, 30, 10), (20, 60, 220))


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_entry_shows_white_there(form):
    image = Image.fromarray(_halves(0, 1)).convert("P")
    image.putpalette([200, 30, 10, 20, 60, 220])
    assert _is(_loaded(_file(image, form, transparency=1), "P"), (200, 30, 10), WHITE)


def test_a_palette_with_half_transparent_entries_is_mixed_with_white():
    image = Image.fromarray(_halves(0, 1)).convert("P")
    image.putpalette([200, 30, 10, 20, 60, 220])
    content = _file(image, "PNG", transparency=bytes([51, 255]))
    assert _is(_loaded(content, "P"), (244, 210, 206), (20, 60, 220), 1)


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_colour_with_alpha_is_mixed_with_white(form, options):
    image = Image.fromarray(_halves((200, 30, 10, 51), (20, 60, 220, 255)))
    found = _loaded(_file(image, form, **options), "RGBA")
    assert _is(found, (244, 210, 206), (20, 60, 220), 1)


def test_a_fully_transparent_image_is_white_whatever_lies_below():
    image = Image.fromarray(_halves((200, 30, 10, 0), (0, 0, 0, 0)))
    assert _is(_loaded(_file(image, "PNG"), "RGBA"), WHITE, WHITE)


def _cmyk():
    """Return an image that is cyan on the left and half black on the right."""
    return Image.merge("CMYK", [Image.fromarray(c) for c in _cmyk_channels()])


def _cmyk_channels():
    return np.moveaxis(_halves((255, 0, 0, 0), (0, 0, 0, 128)), -1, 0).copy()


def test_cmyk_as_it_is():
    found = _loaded(_file(_cmyk(), "TIFF"), "CMYK")
    assert _is(found, (0, 255, 255), (127, 127, 127))


def test_cmyk_in_a_jpeg_is_stored_inverted():
    content = _file(_cmyk(), "JPEG", quality=95)
    assert b"Adobe" in content
    # What a decoder that knows nothing of the habit would see: ink where there is none.
    with Image.open(io.BytesIO(content)) as image:
        image.tile = [(*tile[:3], ("CMYK", "")) for tile in image.tile]
        assert np.asarray(image)[20, 5, 0] < 10
    assert _is(_loaded(content, "CMYK"), (0, 255, 255), (127, 127, 127), 6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_in_a_tiff(order):
    content = _file(Image.fromarray(_halves(257 * 30, 257 * 200, np.uint16)), "TIFF")
    if order == ">":
        content = _big_endian_tiff(_halves(257 * 30, 257 * 200, ">u2"))
    mode = "I;16" if order == "<" else "I;16B"
    assert _is(_loaded(content, mode), (30,) * 3, (200,) * 3)


def _big_endian_tiff(pixels):
    """Return a grey TIFF of 16 bits in the order that PIL does not write."""
    entries = [
        (256, 3, 1, SIDE << 16),  # width
        (257, 3, 1, SIDE << 16),  # height
        (258, 3, 1, 16 << 16),  # bits
        (259, 3, 1, 1 << 16),  # not compressed
        (262, 3, 1, 1 << 16),  # 0 is black
        (273, 4, 1, 8),  # where the pixels begin
        (277, 3, 1, 1 << 16),  # channels
        (278, 3, 1, SIDE << 16),  # rows a strip
        (279, 4, 1, pixels.nbytes),
    ]
    table = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    header = b"MM\x00\x2a" + struct.pack(">I", 8 + pixels.nbytes)
    return header + pixels.tobytes() + struct.pack(">H", len(entries)) + table + bytes(4)


def _tiff(pixels, bits, white_is_0=False):
    """Return a grey TIFF as PIL does not write it."""
    content = pixels.tobytes()
    entries = [
        (256, 3, 1, SIDE),  # width
        (257, 3, 1, SIDE),  # height
        (258, 3, 1, bits),
        (259, 3, 1, 1),  # not compressed
        (262, 3, 1, 0 if white_is_0 else 1),
        (273, 4, 1, 8),  # where the pixels begin
        (277, 3, 1, 1),  # channels
        (278, 3, 1, SIDE),  # rows a strip
        (279, 4, 1, len(content)),
        (339, 3, 1, 3 if pixels.dtype.kind == "f" else 1),
    ]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    header = b"II\x2a\x00" + struct.pack("<I", 8 + len(content))
    return header + content + struct.pack("<H", len(entries)) + table + bytes(4)


@pytest.mark.parametrize(("dtype", "unit", "mode"), [("u1", 1, "L"), ("<u2", 257, "I;16")])
def test_grey_in_a_tiff_where_0_is_white(dtype, unit, mode):
    pixels = _halves(unit * 30, unit * 200, dtype)
    found = _loaded(_tiff(pixels, 8 * pixels.itemsize, white_is_0=True), mode)
    assert _is(found, (225,) * 3, (55,) * 3)


def test_12_bit_grey_in_a_tiff():
    # Two pixels of 12 bits in three bytes: 0xfff and 0xfff, 0x800 and 0x800.
    row = bytes([0xFF, 0xFF, 0xFF] * (SIDE // 4) + [0x80, 0x08, 0x00] * (SIDE // 4))
    pixels = np.frombuffer(row * SIDE, np.uint8)
    assert _is(_loaded(_tiff(pixels, 12), "I;16"), WHITE, (128,) * 3)


def test_floats_of_32_bits_in_a_tiff():
    pixels = _halves(0.25, 1.0, "<f4")
    assert _is(_loaded(_tiff(pixels, 32), "F"), (64,) * 3, WHITE)
    pixels[0] = np.nan
    pixels[1] = np.inf
    assert _loaded(_tiff(pixels, 32), "F")[:2].tolist() == [[[0] * 3] * SIDE, [[255] * 3] * SIDE]


def _png(header, *chunks):
    """Return a PNG of 40 by 40 pixels that PIL does not write."""
    head = struct.pack(">IIBBBBB", SIDE, SIDE, *header, 0, 0, 0)
    everything = [(b"IHDR", head), *chunks, (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in everything
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("kind", "left", "right", "wanted"),
    [
        (2, (200, 30, 10), (20, 60, 220), ((200, 30, 10), (20, 60, 220))),
        (4, (100, 255), (100, 51), ((100,) * 3, (224,) * 3)),
    ],
)
def test_colour_and_grey_with_alpha_of_16_bits_in_a_png(kind, left, right, wanted):
    halves = _halves(left, right).astype(">u2") * 257
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in halves)
    content = _png((16, kind), (b"IDAT", zlib.compress(rows)))
    assert _is(_loaded(content, {2: "RGB", 4: "RGBA"}[kind]), *wanted, tolerance=1)


def test_ycck_in_a_jpeg():
    cyan, magenta, yellow, black = (Image.fromarray(one) for one in _cmyk_channels())
    ycc = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr")
    # PIL inverts what it writes, and says that the colours are not those of YCCK.
    written = [Image.fromarray(255 - np.asarray(channel)) for channel in ycc.split()]
    content = bytearray(_file(Image.merge("CMYK", (*written, black)), "JPEG", quality=95))
    transform = content.index(b"Adobe") + 11
    assert content[transform] == 0
    content[transform] = 2
    assert _is(_loaded(bytes(content), "CMYK"), (0, 255, 255), (127, 127, 127), 8)


def test_16_bit_grey_in_a_png():
    content = _file(Image.fromarray(_halves(257 * 30, 257 * 200, np.uint16)), "PNG")
    # Pillow opens it as `I;16`, and as `I` before version 11.
    found = _loaded(content, Image.open(io.BytesIO(content)).mode)
    assert _is(found, (30,) * 3, (200,) * 3)


def test_16_bit_grey_that_was_read_as_whole_numbers():
    content = _file(Image.fromarray(_halves(257 * 30, 257 * 200, np.int32)), "TIFF")
    assert _is(_loaded(content, "I"), (30,) * 3, (200,) * 3)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM"])
def test_black_and_white_of_1_bit(form):
    content = _file(Image.fromarray(_halves(False, True, bool)), form)
    assert _is(_loaded(content, "1"), (0, 0, 0), WHITE)


def test_the_first_frame_of_a_gif():
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "lime", "blue")]
    content = _file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(content)) as image:
        assert image.n_frames == 3
        mode = image.mode
    assert _is(_loaded(content, mode), (255, 0, 0), (255, 0, 0))


_CORNERS = {  # what the file has in the corner that is seen on top on the left
    1: (0, 0),
    2: (0, -1),
    3: (-1, -1),
    4: (-1, 0),
    5: (0, 0),
    6: (-1, 0),
    7: (-1, -1),
    8: (0, -1),
}


@pytest.mark.parametrize("orientation", _CORNERS)
def test_a_jpeg_is_seen_as_the_camera_was_held(orientation):
    pixels = np.full((SIDE, SIDE, 3), 40, np.uint8)
    # A red corner, and a blue one that is seen to the right of it, whichever way it is turned.
    row, column = _CORNERS[orientation]
    corner = (slice(0, 16), slice(SIDE - 16, SIDE))
    pixels[corner[row], corner[column]] = (220, 30, 30)
    other = (row, -1 - column) if orientation < 5 else (-1 - row, column)
    pixels[corner[other[0]], corner[other[1]]] = (30, 30, 220)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = _file(Image.fromarray(pixels), "JPEG", exif=exif, quality=95, subsampling=0)
    found = _loaded(content, "RGB")
    assert np.abs(found[4:12, 4:12] - (220, 30, 30)).max() < 12
    assert np.abs(found[4:12, -12:-4] - (30, 30, 220)).max() < 12
    assert np.abs(found[-12:-4] - 40).max() < 12


def test_a_jpeg_that_was_held_upright_becomes_a_square_of_its_middle():
    pixels = np.zeros((60, 120, 3), np.uint8)
    pixels[:, 40:80] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    found = _loaded(_file(Image.fromarray(pixels), "JPEG", exif=exif, quality=95), "RGB")
    # Turned upright it is 60 wide and 120 high, and the white band lies across.
    bright = (found[..., 1] > 128).all(axis=1)
    assert bright[8:-8].all()
    assert not (found[..., 1] > 128)[[0, -1]].any()
