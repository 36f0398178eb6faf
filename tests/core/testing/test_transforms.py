"""Transforms that break a promise, each caught and told what to change."""

import random

import numpy as np
import pytest
import torch

from tlf.testing import ContractError
from tlf.testing.toys import ToyTransform
from tlf.testing.transforms import (
    CHECKS,
    check_load_is_deterministic,
    check_load_takes_every_mode,
    check_normalisation_is_data,
    check_views_depend_on_their_generator_only,
    check_views_have_the_promised_form,
)

from .saboteurs import Saboteur


class NoColours(ToyTransform):
    """Takes for granted that images are RGB."""

    def load(self, image):
        pixels = np.array(image.resize((40, 40)))
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


class ChannelsLast(ToyTransform):
    def load(self, image):
        return super().load(image).permute(1, 2, 0)


class Floats(ToyTransform):
    def load(self, image):
        return super().load(image) / 255


class Arrays(ToyTransform):
    def load(self, image):
        return super().load(image).numpy()


class OwnSize(ToyTransform):
    """Leaves every image as large as it is."""

    def load(self, image):
        return torch.zeros(3, image.height, image.width, dtype=torch.uint8)


class Noise(ToyTransform):
    def load(self, image):
        loaded = super().load(image)
        return torch.randint_like(loaded, 256)


class Counting(ToyTransform):
    """Every object begins the same, and makes each image a little darker than the one before."""

    count = 0

    def load(self, image):
        self.count += 1
        return super().load(image) // self.count


class Blank(ToyTransform):
    def load(self, image):
        return super().load(image) * 0


class Whole(ToyTransform):
    """Forgets to crop what it loads larger than it says."""

    def evaluate(self, batch):
        return batch


class Normalised(ToyTransform):
    def augment(self, batch, generators):
        return super().augment(batch, generators) / 255


class Lists(ToyTransform):
    def augment(self, batch, generators):
        return list(super().augment(batch, generators))


class Stamping(ToyTransform):
    """Writes into what it is given."""

    def evaluate(self, batch):
        batch[..., :5] = 0
        return super().evaluate(batch)


class Inverting(ToyTransform):
    def augment(self, batch, generators):
        torch.sub(255, batch, out=batch)
        return super().augment(batch, generators)


class ShortOfMemory(ToyTransform):
    def evaluate(self, batch):
        raise MemoryError("too large")


class OneForAll(ToyTransform):
    """Draws for the whole batch from the first item's generator."""

    def augment(self, batch, generators):
        return super().augment(batch, generators[:1] * len(batch))


class Average(ToyTransform):
    """Makes an item as bright as the batch."""

    def evaluate(self, batch):
        view = super().evaluate(batch)
        return (view * 0.5 + view.float().mean() * 0.5).to(torch.uint8)


class Global(ToyTransform):
    """Draws something of which nothing can be seen."""

    draw = staticmethod(lambda: torch.rand(1))

    def vary(self, view, generator):
        self.draw()
        return view


class GlobalNumpy(Global):
    draw = staticmethod(np.random.rand)


class GlobalPython(Global):
    draw = staticmethod(random.random)


def normalising(**values):
    def create(self, *arguments):
        ToyTransform.__init__(self, *arguments)
        vars(self).update(values)

    return type("_".join(values), (ToyTransform,), {"__init__": create})


MODES, SAME = check_load_takes_every_mode, check_load_is_deterministic
FORM, VIEWS = check_views_have_the_promised_form, check_views_depend_on_their_generator_only
DATA = check_normalisation_is_data

SABOTEURS = (
    Saboteur(MODES, NoColours, "image of mode `1` .*to_rgb.* must not fail"),
    Saboteur(MODES, ChannelsLast, r"uint8 tensor \(3, H, W\), not torch.uint8 \(40, 40, 3\)"),
    Saboteur(MODES, Floats, "must return a uint8 tensor .*not torch.float32"),
    Saboteur(MODES, Arrays, "must return a uint8 tensor .*not a ndarray"),
    Saboteur(MODES, OwnSize, r"the same shape for every image, not \[\(3, 31, 50\), \(3, 40, 40\)"),
    Saboteur(MODES, dict, "must be a subclass of `tlf.plugin.Transform`"),
    Saboteur(SAME, Noise, "different pixels for the same image"),
    Saboteur(SAME, Counting, "different pixels for the same image"),
    Saboteur(SAME, Blank, "the same pixels for different images"),
    Saboteur(SAME, OwnSize, "the same shape for every image"),
    Saboteur(FORM, Whole, r"`evaluate` must return a uint8 tensor \(6, 3, 32, 32\), not .*40, 40"),
    Saboteur(FORM, Normalised, "`augment` must return a uint8 tensor .*not torch.float32"),
    Saboteur(FORM, Lists, "`augment` must return a uint8 tensor .*not a list"),
    Saboteur(FORM, Stamping, "`evaluate` writes into the batch, .*: copy it"),
    Saboteur(FORM, Inverting, "`augment` writes into the batch, .*: copy it"),
    Saboteur(FORM, ShortOfMemory, "`evaluate` must not fail, and fails with MemoryError"),
    Saboteur(VIEWS, OneForAll, "draw everything for an item from its own generator"),
    Saboteur(VIEWS, Average, "another view alone than in a batch"),
    Saboteur(VIEWS, Global, "draws from torch's global generator"),
    Saboteur(VIEWS, GlobalNumpy, "draws from numpy's global generator"),
    Saboteur(VIEWS, GlobalPython, "draws from Python's global generator"),
    Saboteur(DATA, normalising(mean=(0.5, 0.5)), "`mean` must be three numbers"),
    Saboteur(DATA, normalising(mean=(124, 116, 104)), "on the scale of 0 to 1, not .124"),
    Saboteur(DATA, normalising(mean=(0, 0, float("nan"))), "`mean` must be three numbers"),
    Saboteur(DATA, normalising(std=(1, 0, 1)), "`std` must be three numbers above 0"),
    Saboteur(DATA, normalising(std=None), "`std` must be three numbers above 0 .* not None"),
    Saboteur(DATA, normalising(std=("1", "1", "1")), "`std` must be three numbers above 0"),
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_transform_that_keeps_its_promises_passes(check, declare):
    check(declare("transform"), {})


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=str)
def test_a_transform_that_breaks_a_promise_is_told_what_to_change(saboteur, declare):
    entry = declare("transform", saboteur.target)
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry, {})
