"""The network that comes with tlf, and the weights in the wheel."""

import hashlib
import json
from importlib import resources

import pytest
import torch
from safetensors import safe_open

from tlf.errors import WeightsError
from tlf.plugin import Options
from tlf_builtin.embedded import family as module
from tlf_builtin.embedded.family import Embedded

FOLDER = resources.files("tlf_builtin.embedded")


@pytest.fixture
def family():
    return Embedded(Options())


@pytest.fixture
def provenance():
    return json.loads((FOLDER / "resnet20.json").read_text())


def test_resnet_20_has_the_parameters_of_the_paper(family):
    network = family.create("resnet20", 20)
    # The paper's 0.27 million, and the projections of two shortcuts with their norms.
    projections = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    assert sum(parameter.numel() for parameter in network.parameters()) == 269_722 + projections
    assert sum(isinstance(m, torch.nn.Conv2d) for m in network.modules()) == 19 + 2


@pytest.mark.parametrize("size", [8, 20, 33])
def test_images_may_have_any_size(family, size):
    assert family.create("resnet20", size)(torch.randn(2, 3, size, size)).shape == (2, 10)


def test_the_weights_are_small_enough_and_what_their_provenance_says(family, provenance):
    content = (FOLDER / "resnet20.safetensors").read_bytes()
    assert len(content) == provenance["bytes"] <= 2 * 2**20
    assert hashlib.sha256(content).hexdigest() == provenance["sha256"]
    assert provenance["made_by"] == "examples/digits/pretrain.json"
    info = family.weights("resnet20")
    assert (info.digest, info.size_bytes) == (provenance["sha256"], provenance["bytes"])


def test_the_weights_are_the_artifact_of_a_run(family):
    with safe_open(FOLDER / "resnet20.safetensors", "pt") as file:
        names = set(file.keys())
    body = {name.removeprefix("backbone.") for name in names if name.startswith("backbone.")}
    network = set(family.create("resnet20", 20).state_dict())
    assert body == network - {"fc.weight", "fc.bias"}
    assert names - {f"backbone.{name}" for name in body} == {
        "head.linear.weight",
        "head.linear.bias",
    }


def test_weights_that_were_changed_are_refused(family, monkeypatch, tmp_path):
    for name in ("resnet20.json", "resnet20.safetensors"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    monkeypatch.setattr(module, "_HERE", tmp_path)
    assert family.fetch("resnet20") == tmp_path / "resnet20.safetensors"
    with (tmp_path / "resnet20.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match="are not those that tlf was shipped with"):
        family.fetch("resnet20")
