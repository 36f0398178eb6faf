"""Pictures that look the same are found whatever their files are, and no others."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tlf.data import near
from tlf.data.near import Fingerprint, fingerprint, near_pairs

from .pictures import encoded, picture


def jpeg(image):
    return Image.open(io.BytesIO(encoded(image, "JPEG", quality=50)))


CHANGES = {
    "saved anew": jpeg,
    "made smaller": lambda image: image.resize((100, 80)),
    "squeezed": lambda image: image.resize((224, 224)),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_picture_is_found_again(name):
    prints = [fingerprint(picture(number, (300, 240))) for number in range(20)]
    changed = fingerprint(CHANGES[name](picture(7, (300, 240))))
    pairs, complete = near_pairs([*prints, changed])
    assert [(pair.first, pair.second) for pair in pairs] == [(7, 20)]
    assert pairs[0].distance <= near.MOST_BITS
    assert near.LEAST_LIKENESS <= pairs[0].likeness <= 1.0
    assert complete


def test_pictures_that_differ_are_no_pair():
    assert near_pairs([fingerprint(picture(number)) for number in range(300)]) == ([], True)


def test_a_mirrored_picture_is_another():
    image = picture(1)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert near_pairs([fingerprint(image), fingerprint(mirrored)])[0] == []


def made_up(count):
    """Fingerprints of which many nearly agree, in bits, in thumbnails, or in both."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**63, 4, dtype=np.uint64)
    thumbnails = rng.integers(0, 256, (4, 256))
    for _ in range(count):
        flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, 5, dtype=np.uint64))
        noise = rng.normal(0, rng.choice([3, 30]), 256)
        thumbnail = np.clip(thumbnails[rng.integers(4)] + noise, 0, 255).astype(np.uint8)
        yield Fingerprint(int(bits[rng.integers(4)] ^ flips), thumbnail, 50.0, is_grey=False)


def by_hand(prints):
    found = set()
    for first, one in enumerate(prints):
        for second in range(first + 1, len(prints)):
            other = prints[second]
            distance = (one.bits ^ other.bits).bit_count()
            likeness = np.corrcoef(one.thumbnail.astype(float), other.thumbnail.astype(float))[0, 1]
            if distance <= 8 and likeness >= 0.99:
                found.add((first, second, distance, round(likeness, 4)))
    return found


@pytest.mark.parametrize("at_once", [1, 500, 2**20])
def test_the_search_finds_what_comparing_each_with_each_finds(monkeypatch, at_once):
    monkeypatch.setattr(near, "_AT_ONCE", at_once)
    prints = list(made_up(150))
    pairs, complete = near_pairs(prints)
    found = {(p.first, p.second, p.distance, round(p.likeness, 4)) for p in pairs}
    assert found == by_hand(prints)
    assert len(pairs) == len(found) > 50
    assert complete


def test_a_search_without_end_is_ended_and_says_so(monkeypatch):
    monkeypatch.setattr(near, "MOST_PAIRS", 10)
    pairs, complete = near_pairs([fingerprint(picture(1))] * 100)
    assert len(pairs) == 10
    assert not complete


def test_a_colour_photograph_is_not_grey_and_one_of_equal_channels_is():
    image = picture(1)
    assert not fingerprint(image).is_grey
    assert fingerprint(image.convert("L").convert("RGB")).is_grey


def test_what_shows_nothing_has_no_contrast():
    assert fingerprint(Image.new("RGB", (50, 50), "white")).contrast == 0.0
    assert fingerprint(picture(1)).contrast > near.LEAST_CONTRAST
