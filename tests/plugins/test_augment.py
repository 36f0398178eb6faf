"""The transform `augment` alters views as torchvision does, with draws of each item's own."""

import json
import threading
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms import v2 as reference

from tlf.plugin import InputConfig
from tlf_builtin.augment.erasing import draw_erasing
from tlf_builtin.augment.options import AugmentOptions
from tlf_builtin.augment.transform import Augment
from tlf_builtin.augment.trivial import OPERATIONS, STRENGTHS, draw_operation
from tlf_builtin.standard.options import StandardOptions
from tlf_builtin.standard.transform import Standard

CONFIG = InputConfig(size=32, resize=40)
COLOUR = (124, 116, 104)
STRENGTH = (0, 1, 7, 15, 22, 29, 30)


def _pixels(height=40, width=40, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.integers(-20, 20, (height, width, 3))
    pixels = (np.asarray(image) + noise).clip(20, 235).astype(np.uint8)
    return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))


def _create(**options):
    return Augment(AugmentOptions(**options), CONFIG)


def _generators(count, first=0):
    return [torch.Generator().manual_seed(first + index) for index in range(count)]


# --- TrivialAugment -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trivial_augment():
    """Return torchvision's own, with the filter and the colour that are used here."""
    return reference.TrivialAugmentWide(
        interpolation=reference.InterpolationMode.BILINEAR, fill=list(COLOUR)
    )


def _usual_magnitudes(augment, name):
    space, signed = augment._AUGMENTATION_SPACE[name]
    magnitudes = space(augment.num_magnitude_bins, 40, 40)
    return [0.0] * STRENGTHS if magnitudes is None else magnitudes.tolist(), signed


def test_the_operations_are_torchvisions_in_its_order(trivial_augment):
    assert list(OPERATIONS) == list(trivial_augment._AUGMENTATION_SPACE)
    assert trivial_augment.num_magnitude_bins == STRENGTHS


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_magnitudes_are_torchvisions(trivial_augment, name):
    operation = OPERATIONS[name]
    wanted, signed = _usual_magnitudes(trivial_augment, name)
    found = [operation.magnitude(strength) for strength in range(STRENGTHS)]
    turned = [operation.magnitude(strength, negative=True) for strength in range(STRENGTHS)]
    if name == "Posterize":
        found, turned = [round(value) for value in found], [round(value) for value in turned]
    assert found == pytest.approx(wanted, abs=1e-5)
    assert turned == [-value if signed else value for value in found]
    if name.startswith("Translate"):
        # In float32 the middle one is a hair less than 16, and would move by 15 pixels.
        assert [int(value) for value in found] == [int(value + 1e-5) for value in wanted]


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("shape", [(40, 40), (33, 50)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_torchvisions_pixels(trivial_augment, name, shape, negative):
    image, operation = _pixels(*shape), OPERATIONS[name]
    kept = image.clone()
    for strength in STRENGTH:
        magnitude = operation.magnitude(strength, negative=negative)
        magnitude = round(magnitude) if name == "Posterize" else magnitude
        usual = trivial_augment._apply_image_or_video_transform(
            image,
            name,
            magnitude,
            interpolation=trivial_augment.interpolation,
            fill=trivial_augment._fill,
        )
        found = operation.apply(image, magnitude, COLOUR)
        assert found.dtype == torch.uint8
        assert found.equal(usual)
    assert image.equal(kept)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "Identity"])
def test_an_operation_at_its_greatest_strength_changes_something(name):
    assert (
        not OPERATIONS[name]
        .apply(_pixels(), OPERATIONS[name].magnitude(STRENGTHS - 1), COLOUR)
        .equal(_pixels())
    )


@pytest.mark.parametrize("name", ["ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"])
def test_what_lies_outside_of_the_image_has_the_mean_colour(name):
    white = torch.full((3, 40, 40), 255, dtype=torch.uint8)
    moved = OPERATIONS[name].apply(white, OPERATIONS[name].magnitude(10), COLOUR)
    outside = (moved == torch.tensor(COLOUR).view(3, 1, 1)).all(0)
    assert 0.05 < outside.float().mean() < 0.9


def test_operations_strengths_and_signs_are_drawn_uniformly():
    drawn = [draw_operation(generator) for generator in _generators(7000)]
    names = {id(operation): name for name, operation in OPERATIONS.items()}
    counts = Counter(names[id(operation)] for operation, _ in drawn)
    assert len(counts) == len(OPERATIONS)
    assert all(400 < count < 600 for count in counts.values())
    angles = [m / 135 for operation, m in drawn if operation is OPERATIONS["Rotate"]]
    assert len({round(abs(angle) * 30) for angle in angles}) == STRENGTHS
    assert abs(np.mean(angles)) < 0.1
    assert 0.45 < np.mean(np.abs(angles)) < 0.55


# --- random erasing -----------------------------------------------------------------------------


def test_the_box_has_torchvisions_distribution():
    count, height, width = 4000, 64, 96
    usual = reference.RandomErasing(p=1.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = [usual.make_params([_pixels(height, width)]) for _ in range(count)]
    theirs = np.array([[box[key] for key in "ijhw"] for box in made if box["v"] is not None])
    drawn = (
        draw_erasing(generator, height, width, probability=1.0, scale=(0.02, 0.33))
        for generator in _generators(count)
    )
    boxes = [box for box in drawn if box is not None]
    ours = np.array([[box.top, box.left, box.height, box.width] for box in boxes])
    assert len(theirs) == len(ours) == count
    for measure in (
        lambda box: box[:, 2] * box[:, 3] / (height * width),
        lambda box: np.log(box[:, 2] / box[:, 3]),
        lambda box: box[:, 0] / (height - box[:, 2]),
        lambda box: box[:, 1] / (width - box[:, 3]),
    ):
        # Of two samples of 4000 from one distribution, once in 10,000 the functions are 0.05 apart.
        assert _distance(measure(theirs), measure(ours)) < 0.05


def _distance(first, second):
    """Return the greatest distance of two empirical distribution functions."""
    values = np.concatenate([first, second])
    places = [
        np.searchsorted(np.sort(one), values, side="right") / len(one) for one in (first, second)
    ]
    return np.abs(places[0] - places[1]).max()


@pytest.mark.parametrize("scale", [(0.02, 0.33), (0.5, 0.5), (0.9, 1.0), (0.001, 0.001)])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 200), (200, 8)])
def test_a_box_lies_inside_and_has_its_share_of_the_area(height, width, scale):
    for generator in _generators(300):
        box = draw_erasing(generator, height, width, probability=1.0, scale=scale)
        if box is None:
            continue
        assert 0 <= box.top <= height - box.height
        assert 0 <= box.left <= width - box.width
        assert box.height < height
        assert box.width < width
        # Each side is rounded by half a pixel at most.
        slack = (box.height + box.width) / 2 + 0.25
        assert scale[0] - slack / (height * width) <= box.height * box.width / (height * width)
        assert box.height * box.width / (height * width) <= scale[1] + slack / (height * width)


def test_boxes_reach_every_border():
    boxes = [
        draw_erasing(generator, 40, 40, probability=1.0, scale=(0.1, 0.3))
        for generator in _generators(1000)
    ]
    assert min(box.top for box in boxes) == min(box.left for box in boxes) == 0
    assert max(box.top + box.height for box in boxes) == 40
    assert max(box.left + box.width for box in boxes) == 40


def test_nothing_is_erased_if_nothing_fits():
    draws = (
        draw_erasing(generator, 20, 20, probability=1.0, scale=(1.0, 1.0))
        for generator in _generators(50)
    )
    assert set(draws) == {None}


def test_so_many_views_have_a_box():
    for probability in (0.0, 0.25, 1.0):
        drawn = [
            draw_erasing(generator, 32, 32, probability=probability, scale=(0.1, 0.2))
            for generator in _generators(2000)
        ]
        assert abs(np.mean([box is not None for box in drawn]) - probability) < 0.03


def test_the_erased_box_is_what_normalises_to_0():
    transform = _create(trivial_augment=False, erasing=1.0, mean=[0.1, 0.5, 0.7], std=0.2)
    whole = Standard(StandardOptions(), CONFIG)
    batch = _pixels()[None]
    for seed in range(20):
        view = transform.augment(batch, _generators(1, seed))[0]
        plain = whole.augment(batch, _generators(1, seed))[0]
        changed = (view != plain).any(0)
        assert 0.01 < changed.float().mean() < 0.4
        colours = view[:, changed] / 255 - torch.tensor([[0.1], [0.5], [0.7]])
        assert colours.abs().max() <= 0.5 / 255 + 1e-6


def test_a_mean_that_is_no_colour_is_taken_to_the_nearest():
    transform = _create(trivial_augment=False, erasing=1.0, mean=[-3.0, 0.0, 7.0])
    view = transform.augment(_pixels()[None], _generators(1))[0]
    assert (view == torch.tensor([0, 0, 255]).view(3, 1, 1)).all(0).any()


# --- the whole view -----------------------------------------------------------------------------


def test_with_nothing_more_it_is_standard():
    batch = torch.stack([_pixels(seed=seed) for seed in range(8)])
    transform = _create(trivial_augment=False, erasing=0.0, flip=0.3, scale=(0.2, 0.9))
    standard = Standard(StandardOptions(flip=0.3, scale=(0.2, 0.9)), CONFIG)
    assert transform.augment(batch, _generators(8)).equal(standard.augment(batch, _generators(8)))


def test_an_option_changes_nothing_but_what_it_names():
    batch = _pixels()[None]
    for seed in range(30):
        plain, erased, altered, both = (
            _create(trivial_augment=trivial, erasing=erasing).augment(batch, _generators(1, seed))
            for trivial, erasing in ((False, 0.0), (False, 1.0), (True, 0.0), (True, 1.0))
        )
        # The same box is erased from what the same operation made of the same crop.
        box = (erased == torch.tensor(COLOUR).view(3, 1, 1)).all(1, keepdim=True)
        assert both.equal(torch.where(box, erased, altered))
        assert plain.equal(torch.where(box, plain, erased))


@pytest.mark.parametrize(
    "options",
    [{}, {"trivial_augment": False}, {"erasing": 0.0}, {"scale": (1.0, 1.0), "flip": 0.0}],
)
def test_a_view_takes_the_same_number_of_draws_whatever_the_options(options):
    for seed in range(5):
        generators = [torch.Generator().manual_seed(seed) for _ in range(2)]
        for generator, transform in zip(generators, (_create(), _create(**options)), strict=True):
            transform.augment(_pixels()[None], [generator])
        assert generators[0].get_state().equal(generators[1].get_state())


def test_a_view_is_the_same_alone_and_in_a_batch_and_with_any_number_of_threads():
    batch = torch.stack([_pixels(224, 224, seed % 5) for seed in range(40)])
    transform = Augment(AugmentOptions(erasing=0.5), InputConfig(size=224, resize=224))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        together = transform.augment(batch, _generators(40))
        torch.set_num_threads(2)
        for index in range(40):
            alone = transform.augment(batch[index : index + 1], _generators(1, first=index))
            assert alone[0].equal(together[index])
    finally:
        torch.set_num_threads(threads)


def test_global_randomness_is_neither_used_nor_disturbed():
    batch = torch.stack([_pixels(seed=seed) for seed in range(20)])
    wanted = _create().augment(batch, _generators(20))
    before = torch.get_rng_state()
    assert _create().augment(batch, _generators(20)).equal(wanted)
    assert torch.get_rng_state().equal(before)
    ended = threading.Event()

    def draw():
        while not ended.is_set():
            torch.rand(1000)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert _create().augment(batch, _generators(20)).equal(wanted)
    finally:
        ended.set()
        thread.join()


def test_what_was_loaded_is_left_as_it_is():
    # Without any range the crop is the whole square: a view of the batch's own memory.
    batch = _pixels(32, 32)[None]
    kept = batch.clone()
    transform = _create(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0, resize=32, erasing=1.0)
    transform.augment(batch.expand(30, -1, -1, -1), _generators(30))
    assert batch.equal(kept)


def test_it_describes_itself_with_every_option():
    described = _create(erasing_scale=(0.1, 0.2)).describe()
    assert json.loads(json.dumps(described)) == described | {
        "trivial_augment": True,
        "erasing": 0.25,
        "erasing_scale": [0.1, 0.2],
    }
    assert described.keys() == AugmentOptions.model_fields.keys()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"erasing": 1.5}, "less than or equal to 1"),
        ({"erasing_scale": (0.3, 0.1)}, r"`erasing_scale` must rise, and \[0.3, 0.1\] falls"),
        ({"erasing_scale": (0.0, 0.1)}, "greater than 0"),
        ({"scale": (0.9, 0.5)}, "`scale` must rise"),
        ({"size": 64, "resize": 32}, "is smaller than the size"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(options, words):
    with pytest.raises(ValidationError, match=words):
        AugmentOptions(**options)
