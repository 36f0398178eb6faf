"""The contract's numbers, for every model of torchvision: `make test-all`."""

from contextlib import nullcontext

import pytest

from tlf.plugin import InputConfig
from tlf.registry import load_registry
from tlf.testing import backbones, networks

pytestmark = pytest.mark.slow

FAMILY = load_registry().get("backbone-family", "torchvision")
MODELS = FAMILY.create(FAMILY.options({})).models()
CHECKS = (
    backbones.check_state_has_the_librarys_names,
    backbones.check_groups_are_a_partition,
    backbones.check_features_are_the_librarys,
    backbones.check_training_is_the_librarys,
    backbones.check_parts_make_the_whole,
)


def small(model):
    """The smallest images that keep a model what it is; the stages are found for each size anew."""
    if model.startswith("maxvit"):
        return 224  # its windows must divide every feature map
    if model.startswith("inception"):
        return 107  # it pads nothing
    return 98 if model == "vit_h_14" else 96


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("model", MODELS)
def test_a_model_keeps_the_contract(model, check, monkeypatch):
    size = small(model)
    monkeypatch.setattr(networks, "input_config_of", lambda *_: InputConfig(size, size))
    # Hundreds of millions of parameters are drawn anew for each check: all cores help.
    monkeypatch.setattr(networks, "_one_thread", nullcontext)
    check(FAMILY, model, {})
