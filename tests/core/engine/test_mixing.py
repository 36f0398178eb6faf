"""Mixed batches: images and labels are mixed by one share, drawn from seed, epoch and batch alone."""

import pytest
import torch

from tlf.engine.losses import one_hot
from tlf.engine.mixing import Mixing
from tlf.spec.model import MixingSpec

IMAGES = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 16).contiguous()
SHARES = one_hot(torch.tensor([0, 1, 2, 3]), 4)


def mixed(spec, seed=0, epoch=0, batch=0):
    return Mixing(MixingSpec.model_validate(spec), 4, seed).mix(IMAGES, SHARES, epoch, batch)


@pytest.mark.parametrize("batch", range(5))
def test_mixup_blends_each_image_with_the_one_before_as_its_label_says(batch):
    images, shares = mixed({"name": "mixup", "mixup_alpha": 1.0}, batch=batch)
    own = shares.diagonal()
    assert (own == own[0]).all()
    assert shares.sum(dim=1).tolist() == pytest.approx([1.0] * 4)
    expected = own.view(4, 1, 1, 1) * IMAGES + (1 - own.view(4, 1, 1, 1)) * IMAGES.roll(1, 0)
    assert torch.allclose(images, expected, atol=1e-6)


@pytest.mark.parametrize("batch", range(5))
def test_cutmix_puts_a_rectangle_of_one_onto_the_other_as_large_as_its_label_says(batch):
    images, shares = mixed("cutmix", batch=batch)
    from_before = images == IMAGES.roll(1, 0)
    assert ((images == IMAGES) | from_before).all()
    area = from_before.float().mean(dim=(1, 2, 3))
    assert area.tolist() == pytest.approx((1 - shares.diagonal()).tolist())
    rows, columns = from_before[0, 0].any(dim=1).sum(), from_before[0, 0].any(dim=0).sum()
    assert from_before[0, 0].sum() == rows * columns


def test_what_is_drawn_depends_on_seed_epoch_and_batch_and_on_nothing_else():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = mixed("mixup", seed=3, epoch=2, batch=1)[1]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(mixed("mixup", seed=3, epoch=2, batch=1)[1], first)
    others = [(4, 2, 1), (3, 1, 1), (3, 2, 0)]
    assert all(not torch.equal(mixed("mixup", *other)[1], first) for other in others)


def test_so_many_batches_are_mixed_as_the_probability_says():
    spec = {"name": "cutmix", "probability": 0.3}
    left = [torch.equal(mixed(spec, batch=batch)[1], SHARES) for batch in range(200)]
    # CutMix draws an empty rectangle now and then.
    assert 0.6 < sum(left) / 200 < 0.82


def test_mixup_or_cutmix_draws_one_of_the_two_for_each_batch():
    whole = [
        float(mixed("mixup-or-cutmix", batch=batch)[0].frac().abs().max()) for batch in range(100)
    ]
    # A blend of whole numbers is none; a rectangle of them is.
    assert 30 < sum(value > 0 for value in whole) < 70


def test_the_shares_of_a_small_alpha_are_mostly_near_the_ends():
    def middle(alpha):
        spec = {"name": "mixup", "mixup_alpha": alpha}
        own = [float(mixed(spec, batch=batch)[1][0, 0]) for batch in range(100)]
        return sum(0.1 < one < 0.9 for one in own)

    assert middle(0.1) < 45
    assert middle(2.0) > 75
