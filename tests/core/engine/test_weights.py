"""Weights files: read without running code, and refused with names when they do not fit."""

import io
import pickle
import random
from types import SimpleNamespace

import pytest
import torch
import torchvision
from safetensors.torch import save, save_file
from torch import nn

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


def test_the_artifact_of_a_run_gives_its_backbone(state, backbone, tmp_path):
    both = {f"backbone.{name}": value for name, value in state.items()}
    save_file({**both, "head.linear.weight": torch.ones(2, 3)}, tmp_path / "model.safetensors")
    load_weights(backbone, read_weights(tmp_path / "model.safetensors"), source="w")
    assert backbone.module.state_dict()["conv5.0.weight"].equal(state["conv5.0.weight"])


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_network_whose_own_names_begin_with_backbone_gets_its_weights(tmp_path, prefix):
    network = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    own = SimpleNamespace(module=network, classifier=())
    state = {f"{prefix}{name}": value + 1.0 for name, value in network.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    load_weights(own, read_weights(tmp_path / "w.safetensors"), source="w")
    loaded = network.state_dict()
    assert all(value.equal(loaded[name.removeprefix(prefix)]) for name, value in state.items())


class Exploit:
    def __reduce__(self):
        return print, ("this must never run",)


def _pickled(value):
    # What torch.save wrote until its version 1.6, and the protocol that it still writes.
    return pickle.dumps(value, protocol=2)


def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path, capsys):
    (tmp_path / "w.pth").write_bytes(_pickled({"a": Exploit()}))
    with pytest.raises(WeightsError, match=r"holds more than tensors: `(builtins\.)?print`\)$"):
        read_weights(tmp_path / "w.pth")
    assert capsys.readouterr().out == ""


def test_a_whole_network_in_a_file_is_refused_with_its_name_in_our_own_words(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(WeightsError) as caught:
        read_weights(tmp_path / "w.pth")
    assert caught.value.message == (
        f"`{tmp_path / 'w.pth'}` cannot be read as plain tensors "
        "(it holds more than tensors: `torch.nn.modules.linear.Linear`)"
    )


def test_a_script_of_torchs_is_refused_without_torchs_advice_to_run_it(tmp_path, monkeypatch):
    def load(*arguments, **options):
        raise RuntimeError("Cannot use ``weights_only=True`` with TorchScript archives. Set it to")

    monkeypatch.setattr(torch, "load", load)
    (tmp_path / "w.pth").write_bytes(b"a script")
    with pytest.raises(WeightsError, match=r"\(it holds more than tensors\)$"):
        read_weights(tmp_path / "w.pth")


def test_a_table_whose_names_are_no_text_is_refused(tmp_path):
    torch.save({"a": torch.ones(2), 7: torch.ones(2)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="a tensor whose name is no text: `7`"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "value", [torch.ones(2, device="meta"), torch.eye(2).to_sparse(), torch.nn.Module, 3]
)
def test_what_cannot_be_put_into_a_network_is_no_table_of_tensors(tmp_path, monkeypatch, value):
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: {"a": value})
    (tmp_path / "w.pth").write_bytes(b"a table")
    with pytest.raises(WeightsError, match="holds no table of tensors"):
        read_weights(tmp_path / "w.pth")


def _saved(form):
    state = {"conv.weight": torch.ones(4, 3), "conv.bias": torch.zeros(4), "n": torch.tensor(3)}
    if form == "safetensors":
        return save(state)
    content = io.BytesIO()
    torch.save(state, content, _use_new_zipfile_serialization=form == "zip")
    return content.getvalue()


def _damaged(content, draw):
    spoilt = bytearray(content[: draw.randrange(len(content))] if draw.random() < 0.4 else content)
    for _ in range(draw.randint(1, 3) if spoilt else 0):
        spoilt[draw.randrange(min(len(spoilt), 600))] ^= 1 << draw.randrange(8)
    return bytes(spoilt)


@pytest.mark.parametrize("form", ["zip", "plain", "safetensors"])
def test_a_file_damaged_anywhere_is_read_or_refused_in_our_own_words(tmp_path, form):
    content, draw, refused = _saved(form), random.Random(3), []
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    for _ in range(100):
        path.write_bytes(_damaged(content, draw))
        # Any other error ends the test.
        try:
            assert all(isinstance(name, str) for name in read_weights(path))
        except WeightsError as error:
            refused.append(error.message)
    assert len(refused) > 20
    assert not any("\x1b" in message or "weights_only" in message for message in refused)


def test_a_file_too_large_for_the_memory_is_not_called_damaged(tmp_path, monkeypatch):
    def load(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(torch, "load", load)
    (tmp_path / "w.pth").write_bytes(b"large")
    with pytest.raises(MemoryError):
        read_weights(tmp_path / "w.pth")


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


def test_tensors_that_fit_are_not_converted(backbone, state):
    def refuse(tensors):
        raise AssertionError("asked without need")

    load_weights(backbone, state, source="weights", convert=refuse)


def test_tensors_that_do_not_fit_are_converted_by_the_librarys_names(backbone, state):
    old = {f"backbone.old.{name}": tensor for name, tensor in state.items()}
    seen = []

    def convert(tensors):
        seen.extend(tensors)
        return {name.removeprefix("old."): tensor for name, tensor in tensors.items()}

    load_weights(backbone, old, source="weights", convert=convert)
    assert seen == [f"old.{name}" for name in state]
    assert all(tensor.equal(state[name]) for name, tensor in backbone.module.state_dict().items())


def test_tensors_that_do_not_fit_even_then_are_named_as_they_were_converted(backbone, state):
    with pytest.raises(WeightsError, match=r"2 tensors are left over: `more\.\w+`"):
        load_weights(
            backbone,
            {},
            source="weights",
            convert=lambda tensors: {**state, "more.a": torch.ones(1), "more.b": torch.ones(1)},
        )


def test_whole_numbers_in_the_place_of_fractions_are_refused(state, backbone):
    name = "conv5.0.weight"
    spoilt = {**state, name: state[name].view(torch.int32)}
    with pytest.raises(WeightsError, match=rf"`{name}` holds int32 numbers in the file"):
        load_weights(backbone, spoilt, source="w")
    load_weights(backbone, {**state, name: state[name].half()}, source="w")
