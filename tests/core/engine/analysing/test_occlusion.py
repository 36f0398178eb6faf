"""What is covered and matters is found, in networks that look at one place only."""

import numpy as np
import pytest
import torch

from tlf.engine.analysing.occlusion import method, occlude

SIDE = 36


def bright():
    return torch.ones(3, SIDE, SIDE)


def corner(images):
    """The mean of a square in the upper left corner: in [0, 1]."""
    return images[:, :, :4, :4].mean(dim=(1, 2, 3))


def test_a_network_that_looks_at_one_corner_is_found_out():
    found = occlude(corner, bright(), at_once=7)
    assert found.shape == (SIDE, SIDE)
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)
    # What covers is 8 wide and moves by 4: nothing beyond that touches the corner.
    assert found[:4, :4] == pytest.approx(np.ones((4, 4)))
    assert (found[8:] == 0).all()
    assert (found[:, 8:] == 0).all()


def test_what_speaks_against_a_class_is_negative():
    found = occlude(lambda images: 1 - corner(images), bright(), at_once=1)
    assert found[0, 0] == pytest.approx(-1.0)


def test_each_pixel_has_the_mean_over_all_squares_that_cover_it():
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(3, SIDE, SIDE, generator=generator)
    image = torch.rand(3, SIDE, SIDE, generator=generator)

    def score(images):
        return (images * weight).sum(dim=(1, 2, 3))

    total, times = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for top in range(0, SIDE - 4, 4):
        for left in range(0, SIDE - 4, 4):
            covered = image.clone()
            covered[:, top : top + 8, left : left + 8] = 0
            fall = float(score(image[None]) - score(covered[None]))
            total[top : top + 8, left : left + 8] += fall
            times[top : top + 8, left : left + 8] += 1
    found = occlude(score, image, at_once=16)
    assert found == pytest.approx(total / times, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("at_once", [1, 5, 100])
def test_how_many_images_go_in_at_a_time_changes_nothing(at_once):
    expected = occlude(corner, bright(), at_once=3)
    assert (occlude(corner, bright(), at_once=at_once) == expected).all()


@pytest.mark.parametrize("side", [1, 5, 8, 28, 224])
def test_images_of_any_size_are_covered_to_the_last_pixel(side):
    def last(images):
        return images[:, 0, -1, -1]

    found = occlude(last, torch.ones(3, side, side), at_once=16)
    assert found.shape == (side, side)
    assert found[-1, -1] == pytest.approx(1.0)


def test_the_method_names_its_library():
    assert method()["library"].startswith("captum ")
