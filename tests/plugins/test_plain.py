"""The transform `plain` draws nothing; and one number normalises every channel."""

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator
from PIL import Image
from torchvision import transforms as reference

from tlf.cli.fields import describe_fields
from tlf.data import to_input
from tlf.plugin import InputConfig
from tlf.spec import validate_values
from tlf_builtin.augment.options import AugmentOptions
from tlf_builtin.augment.transform import Augment
from tlf_builtin.cpu.device import Cpu
from tlf_builtin.cpu.options import CpuOptions
from tlf_builtin.plain.options import PlainOptions
from tlf_builtin.plain.transform import Plain
from tlf_builtin.standard.options import StandardOptions
from tlf_builtin.standard.transform import Standard

TRANSFORMS = [(Plain, PlainOptions), (Standard, StandardOptions), (Augment, AugmentOptions)]
CONFIG = InputConfig(size=32, resize=40)


def _image(mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (41, 50, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def _generators(count):
    return [torch.Generator().manual_seed(index) for index in range(count)]


def test_a_view_to_train_on_is_the_view_of_evaluation():
    transform = Plain(PlainOptions(), CONFIG)
    batch = torch.stack([transform.load(_image(seed=seed)) for seed in range(3)])
    views = transform.augment(batch, _generators(3))
    assert tuple(views.shape) == (3, 3, 32, 32)
    assert views.equal(transform.evaluate(batch))


def test_nothing_is_drawn():
    transform = Plain(PlainOptions(), CONFIG)
    generators = _generators(1)
    before, everywhere = generators[0].get_state(), torch.get_rng_state()
    transform.augment(transform.load(_image())[None], generators)
    assert generators[0].get_state().equal(before)
    assert torch.get_rng_state().equal(everywhere)


@pytest.mark.parametrize(("transform", "options"), TRANSFORMS)
def test_every_transform_evaluates_alike(transform, options):
    plain, other = Plain(PlainOptions(), CONFIG), transform(options(), CONFIG)
    loaded = plain.load(_image())
    assert other.load(_image()).equal(loaded)
    assert other.evaluate(loaded[None]).equal(plain.evaluate(loaded[None]))


def test_it_describes_itself_with_every_value_that_it_took():
    assert Plain(PlainOptions(size=64, mean=0.5, std=[0.25]), CONFIG).describe() == {
        "size": 64,
        "resize": 80,
        "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
    }


# --- one number for every channel ---------------------------------------------------------------


@pytest.mark.parametrize("given", [0.5, [0.5], [0.5, 0.5, 0.5]])
@pytest.mark.parametrize(("transform", "options"), TRANSFORMS)
def test_one_number_stands_for_all_channels(transform, options, given):
    made, problems = validate_values(options, {"mean": given, "std": given})
    assert problems == []
    created = transform(made, CONFIG)
    assert (created.mean, created.std) == ((0.5,) * 3, (0.5,) * 3)
    assert (created.describe()["mean"], created.describe()["std"]) == ([0.5] * 3, [0.5] * 3)


def test_a_mean_of_0_is_not_taken_for_none():
    assert Plain(PlainOptions(mean=0), CONFIG).mean == (0.0, 0.0, 0.0)


def test_a_grey_image_is_normalised_as_torchvision_normalises_one_channel():
    transform = Plain(PlainOptions(size=40, resize=40, mean=0.5, std=0.5), CONFIG)
    grey = _image("L").crop((0, 0, 40, 40))
    usual = [reference.ToTensor(), reference.Normalize([0.5], [0.5])]
    wanted = reference.Compose(usual)(grey).expand(3, -1, -1)
    device = Cpu(CpuOptions(precision="float32")).create()
    found = to_input(transform.load(grey)[None], transform.mean, transform.std, device)[0]
    assert torch.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "path", "message"),
    [
        ("mean", 11, "mean", "must be at most 10, not `11`"),
        ("std", 0, "std", "must be above 0, not `0`"),
        ("mean", [11], "mean.0", "must be at most 10, not `11`"),
        ("std", [1, 0, 1], "std.1", "must be above 0, not `0`"),
        ("mean", [0.5, "x", 0.5], "mean.1", "must be a number, not `x`"),
        ("mean", [[0.5]], "mean.0", "must be a number, not `[0.5]`"),
        ("mean", "x", "mean", "must be a number or a list, not `x`"),
        ("std", {}, "std", "must be a number or a list, not `{}`"),
        ("mean", "0.5", "mean", 'must be a number, not `"0.5"`'),
        ("mean", True, "mean", "must be a number, not `true`"),
        ("mean", [], "mean", "must be one number, or a list of one or three numbers, not of 0"),
        ("std", [1, 1], "std", "must be one number, or a list of one or three numbers, not of 2"),
        (
            "mean",
            [0] * 4,
            "mean",
            "must be one number, or a list of one or three numbers, not of 4",
        ),
    ],
)
def test_what_is_no_mean_or_std_is_one_problem(name, value, path, message):
    for _, options in TRANSFORMS:
        _, problems = validate_values(options, {name: value})
        assert [(found.path, found.message) for found in problems] == [(path, message)]


def test_the_options_are_readable_in_words_and_as_a_schema():
    words = {field.name: field.type for field in describe_fields(StandardOptions)}
    assert words["mean"] == "number ≥ -10, ≤ 10 or list of number ≥ -10, ≤ 10 or null"
    assert words["std"] == "number > 0, ≤ 10 or list of number > 0, ≤ 10 or null"
    assert list(words)[:3] == ["size", "resize", "interpolation"]
    validator = Draft202012Validator(StandardOptions.model_json_schema())
    for value in (None, 0.5, [0.5], [0.4, 0.5, 0.6]):
        assert validator.is_valid({"mean": value})
    for value in ("x", 11, [], [11], [0.5] * 4):
        assert not validator.is_valid({"mean": value})
