import io

import numpy as np
import pytest
from PIL import Image

from tlf.data import Header, read_headers
from tlf.plugin import Item


def an_image(mode="RGB", size=(40, 30), form="PNG"):
    content = io.BytesIO()
    Image.new(mode, size).save(content, form)
    return content.getvalue()


def read(*contents):
    return read_headers(
        [Item(str(number), 0, lambda c=content: c) for number, content in enumerate(contents)]
    )


def test_headers_come_in_the_order_of_the_items():
    sizes = [(10 + number, 20) for number in range(50)]
    found = read(*(an_image(size=size) for size in sizes))
    assert [(header.width, header.height) for header in found] == sizes


@pytest.mark.parametrize(
    ("mode", "form", "grey"),
    [
        ("1", "PNG", True),
        ("L", "JPEG", True),
        ("LA", "PNG", True),
        ("I;16", "PNG", True),
        ("F", "TIFF", True),
        ("RGB", "JPEG", False),
        ("RGBA", "PNG", False),
        ("P", "PNG", False),
        ("CMYK", "JPEG", False),
    ],
)
def test_an_image_without_colours_is_grey(mode, form, grey):
    assert read(an_image(mode, form=form)) == [Header(40, 30, grey)]


def test_pixels_have_a_header_too():
    grey, colour = np.zeros((30, 40), np.uint8), np.zeros((30, 40, 3), np.uint8)
    assert read(grey, colour) == [Header(40, 30, is_grey=True), Header(40, 30, is_grey=False)]


def test_the_pixels_of_a_file_are_not_looked_at():
    content = an_image(size=(500, 400), form="BMP")
    assert read(content[:100]) == [Header(500, 400, is_grey=False)]


def test_what_has_no_header_is_told_apart_with_the_reason():
    def fail():
        raise KeyError("gone")

    assert read(b"", b"GIF, not really", an_image()) == [
        "the file is empty",
        "no image in a format that is known",
        Header(40, 30, is_grey=False),
    ]
    (reason,) = read_headers([Item("a", 0, fail)])
    assert reason == "the data source raises KeyError: 'gone'"
