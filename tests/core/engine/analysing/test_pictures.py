"""Pictures as text: of the size that is meant, and in the colours that are meant."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from tlf.engine.analysing.pictures import AGAINST_IT, FOR_IT, SIDE, overlay, thumbnail


def picture_of(url, kind):
    head, _, body = url.partition(",")
    assert head == f"data:image/{kind};base64"
    picture = Image.open(io.BytesIO(base64.b64decode(body)))
    assert picture.format == kind.upper()
    return picture


@pytest.mark.parametrize(
    ("size", "expected"), [((800, 400), (160, 80)), ((30, 60), (30, 60)), ((160, 160), (160, 160))]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16", "CMYK"])
def test_a_thumbnail_is_the_whole_picture_made_no_larger_than_it_was(size, expected, mode):
    assert picture_of(thumbnail(Image.new(mode, size)), "jpeg").size == expected


def test_what_speaks_for_it_and_against_it_have_colours_of_their_own_and_the_rest_none():
    attribution = np.zeros((32, 32))
    attribution[:8], attribution[24:] = 0.5, -0.5
    image = torch.full((3, 32, 32), 128, dtype=torch.uint8)
    drawn = picture_of(overlay(image, attribution), "png")
    assert drawn.size == (SIDE, SIDE)
    pixels = np.asarray(drawn.convert("RGB"), dtype=int)
    top, middle, bottom = pixels[2, 80], pixels[80, 80], pixels[-3, 80]
    assert abs(top - FOR_IT).max() < 30
    assert abs(bottom - AGAINST_IT).max() < 30
    assert middle.max() - middle.min() <= 3


def test_an_image_in_which_nothing_matters_stays_grey():
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    pixels = np.asarray(picture_of(overlay(image, np.zeros((32, 32))), "png").convert("RGB"))
    assert (pixels.max(axis=2) == pixels.min(axis=2)).all()
