"""Weights and images that were damaged on their way: read as what they are, or refused in words."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

import tlf
from tests.fuzz.mutations import mutated_bytes
from tlf.data import UnreadableImageError, decode
from tlf.data.quiet import pil_warnings_ignored
from tlf.engine.predictor import Prediction
from tlf.engine.weights import read_weights

STATE = {
    "layer.weight": torch.arange(24.0).reshape(4, 6),
    "layer.bias": torch.ones(4, dtype=torch.float16),
    "count": torch.tensor(3),
}


def of_torch(**how):
    content = io.BytesIO()
    torch.save(STATE, content, **how)
    return content.getvalue()


CONTENTS = {
    ".safetensors": save(STATE),
    ".pth": of_torch(),
    ".pt": of_torch(_use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("suffix", CONTENTS)
def test_a_damaged_weights_file_gives_tensors_or_an_error_in_words(
    fuzz, in_words, tmp_path, suffix
):
    path = tmp_path / f"weights{suffix}"

    def read():
        found = read_weights(path)
        assert all(isinstance(value, torch.Tensor) for value in found.values())
        # Every number is there: nothing is read from behind the end.
        assert [value.double().sum().shape for value in found.values()] == [()] * len(found)

    def check(content):
        path.write_bytes(content)
        return in_words(read)

    fuzz(50, mutated_bytes(CONTENTS[suffix], most=2), check)


def encoded(form, mode="RGB", **options):
    content = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (21, 33, 4), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("L" if mode == "I;16" else mode).convert(mode)
    image.save(content, form, **options)
    return content.getvalue()


EXIF = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00"
IMAGES = {
    "jpeg": encoded("JPEG"),
    "progressive jpeg": encoded("JPEG", progressive=True, exif=EXIF),
    "grey jpeg": encoded("JPEG", "L"),
    "cmyk jpeg": encoded("JPEG", "CMYK"),
    "png": encoded("PNG"),
    "png with alpha": encoded("PNG", "RGBA"),
    "png of 16 bits": encoded("PNG", "I;16"),
    "png of a palette": encoded("PNG", "P"),
    "gif": encoded("GIF", "P"),
    "moving gif": encoded("GIF", "P", save_all=True, append_images=[Image.new("P", (33, 21))] * 2),
    "bmp": encoded("BMP"),
    "bmp of bits": encoded("BMP", "1"),
    "webp": encoded("WEBP"),
    "exact webp": encoded("WEBP", "RGBA", lossless=True),
    "tiff": encoded("TIFF"),
    "packed tiff": encoded("TIFF", compression="tiff_lzw"),
    "jpeg in tiff": encoded("TIFF", compression="jpeg"),
    "tiff of floats": encoded("TIFF", "F"),
    "ppm": encoded("PPM"),
    "jpeg 2000": encoded("JPEG2000"),
}  # fmt: skip


def property_of(predictor):
    def check(content):
        with pil_warnings_ignored():
            try:
                image = decode(content)
            except UnreadableImageError as error:
                return "unreadable" if error.reason and "\n" not in error.reason else "no words"
            assert image.width > 0
            assert image.height > 0
            (found,) = predictor.stream([content])
        assert isinstance(found, Prediction), found
        assert sum(found.probabilities.values()) == pytest.approx(1.0)
        return "fine"

    def spoken(content):
        outcome = check(content)
        assert outcome != "no words"
        return outcome

    return spoken


@pytest.fixture(scope="module")
def predictor(finished):
    return tlf.load(finished)


@pytest.mark.parametrize("name", IMAGES)
def test_a_damaged_image_is_an_image_or_unreadable(fuzz, predictor, name):
    fuzz(8, mutated_bytes(IMAGES[name], most=2), property_of(predictor))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_a_damaged_photograph_is_an_image_or_unreadable(fuzz, predictor, real_data, number):
    photographs = sorted((real_data / "hymenoptera" / "val").rglob("*.jpg"))
    fuzz(5, mutated_bytes(photographs[number * 20].read_bytes(), most=2), property_of(predictor))
