"""The contract's numbers, for every model in the table of stages: `make test-all`."""

from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
import torch

from tlf.data.threads import core_count
from tlf.plugin import InputConfig
from tlf.registry import load_registry
from tlf.testing import backbones, networks

pytestmark = pytest.mark.slow

SMALLEST = Path(__file__).parents[2] / "docs" / "timm_smallest.txt"
ENTRIES = {name: load_registry().get("backbone-family", name) for name in ("timm", "torchvision")}
FAMILIES = {name: entry.create(entry.options({})) for name, entry in ENTRIES.items()}
MODELS = [
    *(("torchvision", model) for model in FAMILIES["torchvision"].models()),
    *(("timm", model) for model in SMALLEST.read_text(encoding="utf-8").split()),
]
CHECKS = (
    backbones.check_state_has_the_librarys_names,
    backbones.check_groups_are_a_partition,
    backbones.check_features_are_the_librarys,
    backbones.check_parts_make_the_whole,
    backbones.check_training_is_the_librarys,
)


@cache
def small(family, model):
    """The smallest images that keep a model what it is; the stages are found for each size anew."""
    usual = FAMILIES[family].input_config(model).size
    if family == "torchvision":
        if model.startswith("maxvit"):
            return usual  # its windows must divide every feature map
        if model.startswith("inception"):
            return 107  # it pads nothing
        return 98 if model == "vit_h_14" else 96
    return next((size for size in (96, 128, 160, 224) if works(family, model, size)), usual)


def works(family, model, size):
    try:
        with torch.device("meta"):
            FAMILIES[family].build(model, size)
    except (RuntimeError, AssertionError, ValueError):
        return False
    return True


@pytest.fixture
def all_cores():
    """Hundreds of millions of parameters are drawn for some models."""
    before = torch.get_num_threads()
    torch.set_num_threads(core_count())
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("all_cores")
@pytest.mark.parametrize(("family", "model"), MODELS)
def test_a_model_keeps_the_contract(family, model, monkeypatch):
    entry, size = ENTRIES[family], small(family, model)
    monkeypatch.setattr(networks, "input_config_of", lambda *_: InputConfig(size, size))
    monkeypatch.setattr(networks, "one_thread", nullcontext)
    # The checks build both networks anew for each promise. Here they share them: the last check is
    # the only one after which they are not as they were.
    with networks.built(entry, model, {}) as (backbone, images):
        library = networks.untouched(entry, model, {}, backbone)
        monkeypatch.setattr(backbones, "built", lambda *_: nullcontext((backbone, images)))
        monkeypatch.setattr(backbones, "untouched", lambda *_: library)
        monkeypatch.setattr(backbones, "create_network", lambda *_: library.network)
        for check in CHECKS:
            check(entry, model, {})
