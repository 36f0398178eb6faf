"""The transform `standard` sees in evaluation what torchvision's usual transforms see."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torchvision import transforms as reference

from tlf.errors import SpecError
from tlf.plugin import InputConfig
from tlf_builtin.standard.crop import draw_crop
from tlf_builtin.standard.options import StandardOptions
from tlf_builtin.standard.transform import Standard


def _photograph(width, height, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.integers(-20, 20, (height, width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def _create(config=None, **options):
    return Standard(StandardOptions(**options), config or InputConfig(size=32, resize=40))


def _generators(count, first=0):
    return [torch.Generator().manual_seed(first + index) for index in range(count)]


def _seen(transform, image):
    return transform.evaluate(transform.load(image)[None])[0]


def _usual(image, size, resize, interpolation="bilinear"):
    mode = reference.InterpolationMode(interpolation)
    steps = [reference.Resize(resize, mode), reference.CenterCrop(size), reference.PILToTensor()]
    return reference.Compose(steps)(image)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sizes", [(32, 40), (33, 40), (32, 41), (31, 31), (224, 256), (225, 256)])
@pytest.mark.parametrize("shape", [(50, 31), (31, 57), (40, 40), (41, 40), (301, 299), (7, 90)])
def test_evaluation_is_bit_equal_to_torchvision(shape, sizes, interpolation):
    size, resize = sizes
    image = _photograph(*shape)
    transform = _create(size=size, resize=resize, interpolation=interpolation)
    assert transform.size == size
    assert _seen(transform, image).equal(_usual(image, size, resize, interpolation))


def test_evaluation_of_real_photographs_is_bit_equal_to_torchvision(real_data):
    files = sorted((real_data / "hymenoptera" / "val").glob("*/*.jpg"))[::15]
    transform = _create(InputConfig())
    assert len(files) > 5
    for file in files:
        with Image.open(file) as image:
            assert _seen(transform, image).equal(_usual(image.convert("RGB"), 224, 256))


def test_what_is_loaded_is_a_square_of_the_resized_side():
    for shape in ((50, 31), (31, 57), (40, 40)):
        loaded = _create().load(_photograph(*shape))
        assert loaded.dtype == torch.uint8
        assert tuple(loaded.shape) == (3, 40, 40)
        assert loaded.is_contiguous()


@pytest.mark.parametrize("shape", [(1, 200_000), (200_000, 1), (3, 5000)])
def test_a_long_strip_does_not_fill_the_memory(shape, monkeypatch):
    image = Image.new("RGB", shape, (10, 200, 30))
    sizes = []
    resize = Image.Image.resize

    def recorded(self, size, *more):
        sizes.append(size)
        return resize(self, size, *more)

    monkeypatch.setattr(Image.Image, "resize", recorded)
    loaded = _create().load(image)
    assert sizes
    assert max(width * height for width, height in sizes) <= 16 * 40 * 40
    assert loaded[:, 20, 20].tolist() == [10, 200, 30]
    assert tuple(loaded.shape) == (3, 40, 40)


def test_options_that_are_left_out_come_from_the_backbone():
    config = InputConfig(
        size=96, resize=120, interpolation="bicubic", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)
    )
    transform = _create(config)
    assert (transform.size, transform.resize) == (96, 120)
    assert transform.interpolation == "bicubic"
    assert (transform.mean, transform.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_options_go_before_the_backbone():
    given = {
        "size": 64,
        "resize": 64,
        "interpolation": "bicubic",
        "mean": (0, 0, 0),
        "std": (1, 1, 1),
    }
    transform = _create(InputConfig(), **given)
    assert {name: getattr(transform, name) for name in given} == given


@pytest.mark.parametrize(
    ("size", "config", "resize"),
    [(112, (224, 256), 128), (96, (224, 256), 110), (64, (64, 64), 64), (224, (224, 200), 224)],
)
def test_the_resized_side_keeps_its_ratio_to_the_size(size, config, resize):
    transform = _create(InputConfig(size=config[0], resize=config[1]), size=size)
    assert (transform.size, transform.resize) == (size, resize)


def test_a_crop_larger_than_the_image_is_refused():
    with pytest.raises(ValidationError, match=r"`resize` \(31\) is smaller than the size of the"):
        StandardOptions(size=32, resize=31)
    with pytest.raises(SpecError, match=r"transforms.options.resize: `resize` \(31\) is smaller"):
        _create(resize=31)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": (0.9, 0.5)}, r"`scale` must rise, and \[0.9, 0.5\] falls"),
        ({"ratio": (2.0, 1.0)}, "`ratio` must rise"),
        ({"scale": (0.0, 1.0)}, "greater than 0"),
        ({"flip": 1.5}, "less than or equal to 1"),
        ({"std": (0.0, 1.0, 1.0)}, "greater than 0"),
        ({"size": 0}, "greater than or equal to 8"),
        ({"sizes": 32}, "Extra inputs are not permitted"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(options, words):
    with pytest.raises(ValidationError, match=words):
        StandardOptions(**options)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_random_view_is_the_same_alone_and_in_a_batch(interpolation):
    transform = _create(interpolation=interpolation)
    batch = torch.stack([transform.load(_photograph(50, 41, seed)) for seed in range(6)])
    together = transform.augment(batch, _generators(6))
    assert together.dtype == torch.uint8
    assert tuple(together.shape) == (6, 3, 32, 32)
    for index in range(6):
        alone = transform.augment(batch[index : index + 1], _generators(1, first=index))
        assert alone[0].equal(together[index])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert transform.augment(batch, _generators(6)).equal(together)
    finally:
        torch.set_num_threads(threads)


def test_a_random_view_is_the_crop_that_was_drawn_resized():
    transform = _create(flip=1.0)
    image = transform.load(_photograph(60, 50))
    view = transform.augment(image[None], _generators(1, first=3))[0]
    crop = draw_crop(
        torch.Generator().manual_seed(3), 40, 40, scale=(0.35, 1.0), ratio=(3 / 4, 4 / 3), flip=1.0
    )
    pixels = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
    wanted = pixels.crop(box).resize((32, 32), Image.Resampling.BILINEAR)
    wanted = np.asarray(wanted.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).astype(int)
    # The filter is the same; its fixed-point arithmetic rounds a little differently.
    assert np.abs(view.permute(1, 2, 0).numpy() - wanted).max() <= 2


def test_without_any_range_a_random_view_is_the_whole_square():
    transform = _create(size=40, resize=40, scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0)
    batch = transform.load(_photograph(60, 50))[None]
    assert transform.augment(batch, _generators(1)).equal(batch)


def test_crops_cover_the_range_of_areas_and_ratios_and_the_whole_image():
    scale, ratio = (0.2, 0.6), (0.5, 2.0)
    crops = [
        draw_crop(generator, 200, 200, scale=scale, ratio=ratio, flip=0.25)
        for generator in _generators(3000)
    ]
    areas = np.array([crop.height * crop.width / 40_000 for crop in crops])
    ratios = np.log([crop.width / crop.height for crop in crops])
    assert areas.min() >= 0.195
    assert areas.max() <= 0.605
    # A crop that is both large and long does not fit and is drawn again, so the mean is a bit less.
    assert 0.37 < areas.mean() <= 0.4
    assert np.abs(ratios).max() <= np.log(2.0) + 0.05
    assert abs(ratios.mean()) < 0.04
    assert 0.21 < np.mean([crop.mirrored for crop in crops]) < 0.29
    assert all(crop.top + crop.height <= 200 and crop.left + crop.width <= 200 for crop in crops)
    places = [(crop.top / (201 - crop.height), crop.left / (201 - crop.width)) for crop in crops]
    assert abs(np.corrcoef(np.transpose(places))[0, 1]) < 0.1
    assert min(crop.top for crop in crops) == 0
    assert max(crop.top + crop.height for crop in crops) == 200
    assert max(crop.left + crop.width for crop in crops) == 200


def test_a_crop_that_never_fits_is_the_centre():
    crop = draw_crop(_generators(1)[0], 100, 100, scale=(1.0, 1.0), ratio=(2.0, 2.0), flip=0.0)
    assert (crop.top, crop.left, crop.height, crop.width) == (25, 0, 50, 100)


def test_another_flip_changes_no_crop():
    for seed in range(20):
        never, always = (
            draw_crop(
                torch.Generator().manual_seed(seed), 50, 50, scale=(0.3, 1), ratio=(1, 2), flip=flip
            )
            for flip in (0.0, 1.0)
        )
        assert (never.mirrored, always.mirrored) == (False, True)
        assert (never.top, never.left, never.height) == (always.top, always.left, always.height)


def test_global_randomness_is_left_alone():
    before = torch.get_rng_state()
    transform = _create()
    transform.augment(transform.load(_photograph(50, 41))[None], _generators(1))
    assert torch.get_rng_state().equal(before)


def test_it_describes_itself_with_every_value_that_it_took():
    config = InputConfig(size=32, resize=40, interpolation="bicubic", mean=(0.1, 0.2, 0.3))
    described = _create(config, size=64, flip=0.25).describe()
    assert json.loads(json.dumps(described)) == {
        "size": 64,
        "resize": 80,
        "interpolation": "bicubic",
        "mean": [0.1, 0.2, 0.3],
        "std": [0.229, 0.224, 0.225],
        "scale": [0.35, 1.0],
        "ratio": [3 / 4, 4 / 3],
        "flip": 0.25,
    }
    assert described.keys() == StandardOptions.model_fields.keys()


def test_what_it_describes_are_options_that_make_the_same_transform():
    first = _create(InputConfig(size=32, resize=40, interpolation="bicubic"), size=64)
    assert _create(InputConfig(), **first.describe()).describe() == first.describe()
