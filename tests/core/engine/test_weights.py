"""Weights files: read without running code, and refused with names when they do not fit."""

import pickle

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from tlf.engine.weights import load_weights, read_weights
from tlf.errors import WeightsError


@pytest.fixture(scope="module")
def state():
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return torchvision.models.shufflenet_v2_x0_5().state_dict()


@pytest.fixture
def backbone(model):
    return model.backbone


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_every_kind_of_file_gives_the_same_tensors(state, backbone, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    load_weights(backbone, read_weights(path), source="w")
    assert backbone.module.state_dict()["conv5.0.weight"].equal(state["conv5.0.weight"])


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_state_below_the_key_of_a_training_script_is_found(state, tmp_path, key):
    torch.save({key: state, "epoch": 3}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").keys() == state.keys()


def test_the_artifact_of_a_run_gives_its_backbone(state, tmp_path):
    both = {f"backbone.{name}": value for name, value in state.items()}
    save_file({**both, "head.linear.weight": torch.ones(2, 3)}, tmp_path / "model.safetensors")
    assert read_weights(tmp_path / "model.safetensors").keys() == state.keys()


class Exploit:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path, capsys):
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"a": Exploit()}))
    with pytest.raises(WeightsError, match="cannot be read as plain tensors"):
        read_weights(tmp_path / "w.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_damaged_file_is_refused(tmp_path, content, suffix):
    (tmp_path / f"w{suffix}").write_bytes(content)
    with pytest.raises(WeightsError, match="read"):
        read_weights(tmp_path / f"w{suffix}")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "w.onnx").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"its name ends in `\.onnx`") as caught:
        read_weights(tmp_path / "w.onnx")
    assert "`.safetensors`" in caught.value.hint


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        read_weights(tmp_path / "w.pth")


def test_weights_of_another_network_are_refused_with_names_and_nothing_is_changed(backbone):
    before = {name: value.clone() for name, value in backbone.module.state_dict().items()}
    other = torchvision.models.resnet18().state_dict()
    with pytest.raises(WeightsError) as caught:
        load_weights(backbone, other, source="resnet.pth")
    assert "tensors are missing: `conv1.0" in caught.value.message
    assert "tensors are left over: `bn1.bias`" in caught.value.message
    assert all(value.equal(before[name]) for name, value in backbone.module.state_dict().items())


def test_another_shape_is_named_with_both_shapes(backbone, state):
    wrong = {**state, "conv5.0.weight": torch.ones(7, 7)}
    with pytest.raises(WeightsError, match=r"`conv5.0.weight` is 7×7 in the file and 1024×192×1×1"):
        load_weights(backbone, wrong, source="w")


def test_the_classifier_may_be_of_any_size_or_missing(backbone, state):
    headless = {name: value for name, value in state.items() if not name.startswith("fc.")}
    load_weights(backbone, {**headless, "fc.weight": torch.ones(5, 1024)}, source="w")
    load_weights(backbone, headless, source="w")


def test_counters_that_old_files_lack_are_not_missed(backbone, state):
    old = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    load_weights(backbone, old, source="w")
