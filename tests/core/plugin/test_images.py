"""Whatever PIL can hold becomes an RGB image that looks the way its owner sees it."""

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from tlf.plugin import to_rgb


def _pixels(image):
    return np.asarray(image).astype(int)


def _reopened(image, form, **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return Image.open(io.BytesIO(content.getvalue()))


@pytest.fixture
def photograph():
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    return small.resize((45, 30), Image.Resampling.BICUBIC)


def test_an_rgb_image_is_left_alone(photograph):
    assert to_rgb(photograph) is photograph


def test_black_and_white_is_0_and_255():
    image = Image.fromarray(np.array([[True, False], [False, True]]))
    assert image.mode == "1"
    assert _pixels(to_rgb(image))[..., 1].tolist() == [[255, 0], [0, 255]]


def test_grey_is_the_same_in_every_channel(photograph):
    grey = photograph.convert("L")
    found = _pixels(to_rgb(grey))
    assert (found == _pixels(grey)[..., None]).all()


def test_a_palette_gives_its_colours(photograph):
    image = photograph.quantize(16)
    palette = np.array(image.getpalette()).reshape(-1, 3)
    assert image.mode == "P"
    assert (_pixels(to_rgb(image)) == palette[_pixels(image)]).all()


def test_a_transparent_palette_entry_shows_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    opened = _reopened(image, "PNG", transparency=0)
    assert opened.mode == "P"
    assert _pixels(to_rgb(opened)).tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_a_palette_with_degrees_of_transparency_is_mixed_with_white():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putpixel((1, 0), 1)
    opened = _reopened(image, "PNG", transparency=bytes([128, 255]))
    found = _pixels(to_rgb(opened))
    assert np.abs(found - [[[127] * 3, [0] * 3]]).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_alpha_is_mixed_with_white(mode):
    alpha = np.array([[0, 51, 204, 255]])
    grey = np.full((1, 4), 100)
    if mode in ("LA", "La"):
        pixels = Image.fromarray(np.stack([grey, alpha], -1).astype(np.uint8))
        image = pixels.convert("La") if mode == "La" else pixels
    else:
        stacked = np.stack([grey, grey, grey, alpha], -1).astype(np.uint8)
        image = Image.fromarray(stacked)
        if mode == "PA":
            image = image.convert("RGB").convert("P")
            image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
        else:
            image = image.convert(mode)
    assert image.mode == mode
    wanted = 255 - (255 - grey) * alpha / 255
    # Premultiplied alpha has lost digits before it comes here.
    assert np.abs(_pixels(to_rgb(image)) - wanted[..., None]).max() <= 2


def test_a_transparent_grey_level_and_colour_show_white():
    grey = _reopened(Image.fromarray(np.array([[7, 9]], np.uint8)), "PNG", transparency=7)
    assert grey.mode == "L"
    assert _pixels(to_rgb(grey))[0, :, 0].tolist() == [255, 9]
    colour = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    opened = _reopened(colour, "PNG", transparency=(1, 2, 3))
    assert opened.mode == "RGB"
    assert _pixels(to_rgb(opened)).tolist() == [[[255, 255, 255], [4, 5, 6]]]


def test_cmyk_is_the_ink_taken_from_white():
    cmyk = Image.fromarray(np.array([[[255, 0, 0, 0], [0, 0, 0, 255], [0, 0, 0, 0]]], np.uint8))
    image = Image.merge("CMYK", cmyk.split())
    assert _pixels(to_rgb(image)).tolist() == [[[0, 255, 255], [0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "RGBX"])
def test_other_colour_spaces_come_back_nearly_as_they_went(photograph, mode):
    found = _pixels(to_rgb(photograph.convert(mode)))
    assert np.abs(found - _pixels(photograph)).mean() < 2.5


def test_lab_comes_back_nearly_as_it_went(photograph):
    profiles = [ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")]
    lab = ImageCms.buildTransform(*profiles, "RGB", "LAB").apply(photograph)
    assert lab.mode == "LAB"
    assert np.abs(_pixels(to_rgb(lab)) - _pixels(photograph)).mean() < 3


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I"])
def test_16_bits_are_scaled_from_their_whole_range(mode):
    values = np.array([[0, 257, 32768, 65535, 128, 129]])
    kind = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]
    image = Image.frombytes(mode, (6, 1), values.astype(kind).tobytes())
    found = _pixels(to_rgb(image))[0, :, 0]
    assert found.tolist() == [0, 1, 128, 255, 0, 1]


def test_a_dark_16_bit_image_stays_dark():
    values = np.arange(0, 2570, 257, dtype=np.uint16)[None]
    opened = _reopened(Image.fromarray(values), "PNG")
    assert _pixels(to_rgb(opened))[0, :, 2].tolist() == list(range(10))


def test_a_transparent_16_bit_level_shows_white():
    opened = _reopened(Image.fromarray(np.array([[0, 2570]], np.uint16)), "PNG", transparency=0)
    assert _pixels(to_rgb(opened))[0, :, 0].tolist() == [255, 10]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 10.0, 255.0], [0, 10, 255]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([3.0e6, 3.0e6, 3.0e6], [0, 0, 0]),
        ([float("nan"), float("inf"), -float("inf")], [0, 255, 0]),
    ],
)
def test_floats_are_scaled_from_the_smallest_usual_range_that_holds_them(values, wanted):
    image = Image.fromarray(np.array([values], np.float32))
    assert image.mode == "F"
    assert _pixels(to_rgb(image))[0, :, 0].tolist() == wanted


def test_integers_beyond_16_bits_are_scaled_from_their_own_range():
    image = Image.fromarray(np.array([[-100, 0, 100]], np.int32))
    assert _pixels(to_rgb(image))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_photograph_is_turned_upright_once(photograph, orientation, form):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    opened = _reopened(photograph, form, exif=exif)
    wanted = ImageOps.exif_transpose(_reopened(photograph, form, exif=exif))
    found = to_rgb(opened)
    assert found.size == ((45, 30) if orientation < 5 else (30, 45))
    assert (_pixels(found) == _pixels(wanted)).all()


def test_a_note_that_cannot_be_read_is_passed_over(photograph):
    opened = _reopened(photograph, "PNG")
    opened.load()
    opened.info["exif"] = b"Exif\x00\x00XX*\x00\x08\x00\x00\x00"
    assert (_pixels(to_rgb(opened)) == _pixels(photograph)).all()


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(form):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if form == "WEBP" else {}
    opened = _reopened(frames[0], form, save_all=True, append_images=frames[1:], **options)
    opened.seek(2)
    assert _pixels(to_rgb(opened))[4, 4].tolist() == [255, 0, 0]


def test_a_later_frame_that_is_damaged_does_not_matter():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
    # A second frame begins, and the file ends.
    second = content.getvalue().index(b"!\xf9", content.getvalue().index(b"\x2c"))
    damaged = content.getvalue()[:second] + b"!"
    with pytest.raises(IndexError):
        _ = Image.open(io.BytesIO(damaged)).is_animated
    opened = Image.open(io.BytesIO(damaged))
    opened.load()
    assert _pixels(to_rgb(opened))[4, 4].tolist() == [255, 0, 0]


def test_an_image_whose_first_frame_is_not_called_0_is_taken_as_it_opens():
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 1, 1, 8, 3)
    # No palette, no resources, no layers; pixels that are not compressed.
    image = Image.open(io.BytesIO(header + bytes(4 + 4 + 4) + bytes(2) + bytes([10, 20, 30])))
    assert image.format == "PSD"
    assert image.tell() == 1
    assert _pixels(to_rgb(image)).tolist() == [[[10, 20, 30]]]


@pytest.mark.parametrize("value", [1e30, -1e30, 3.4e38, -0.5])
def test_an_image_of_a_single_number_is_black_however_large_that_is(value):
    image = Image.fromarray(np.full((2, 3), value, np.float32))
    assert to_rgb(image).getextrema() == ((0, 0),) * 3


def test_what_is_no_number_and_says_so_loudly_is_black_without_a_word():
    loud = np.array([[0x7F800001, 0]], np.uint32).view(np.float32)
    assert to_rgb(Image.fromarray(loud)).getextrema() == ((0, 0),) * 3
