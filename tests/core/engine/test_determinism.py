"""Deterministic operations: only for as long as a run takes, and what has none is named."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import tlf
from tlf.engine.determinism import CUBLAS, deterministic_operations, operations_explained
from tlf.errors import RunError, UsageError
from tlf.registry import load_registry

DETERMINISTIC = {"name": "cpu", "options": {"precision": "float32", "deterministic": True}}

#: Networks with an operation that torch has no deterministic implementation of, on the processor too.
UNPOOLING = """
from torch import nn
from tlf.plugin import BackboneFamily, BackboneFamilyDeclaration, InputConfig


class Unpool(nn.Module):
    def __init__(self, when):
        super().__init__()
        self.when = when
        self.batches = 0

    def forward(self, x):
        self.batches += self.training and len(x) > 1
        if self.training == (self.when == "evaluates"):
            return x
        if self.when == "learns-late" and self.batches < 3:
            return x
        pooled, places = nn.functional.max_pool2d(x, 2, return_indices=True)
        return nn.functional.max_unpool2d(pooled, places, 2)


class Network(nn.Module):
    def __init__(self, when):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.body = nn.Sequential(Unpool(when), nn.Conv2d(4, 4, 3, padding=1))
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


class Family(BackboneFamily):
    def models(self):
        return ["evaluates", "learns", "learns-late"]

    def input_config(self, model, *, default_weights=True):
        return InputConfig(size=8, resize=8)

    def create(self, model, image_size):
        return Network(model)

    def classifier(self, network):
        return "fc"


@hookimpl
def tlf_backbone_families():
    return [
        BackboneFamilyDeclaration(
            name="acme", summary="unpools", target="MODULE:Family", example_models=("learns",)
        )
    ]
"""


@pytest.fixture
def unpooling(distribute, small_spec):
    """A spec of a network that cannot be deterministic."""
    distribute("acme", UNPOOLING)
    load_registry.cache_clear()
    yield {
        **small_spec,
        "transforms": {"name": "standard", "options": {"size": 8, "resize": 8}},
        "strategy": "full-fine-tuning",
        "device": DETERMINISTIC,
    }
    load_registry.cache_clear()


@pytest.fixture
def settings():
    """Return a function that gives all that a deterministic run sets."""
    cudnn = torch.backends.cudnn

    def look():
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            cudnn.benchmark,
            cudnn.deterministic,
            os.environ.get(CUBLAS),
        )

    before = look()
    yield look
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    cudnn.benchmark, cudnn.deterministic = before[2:4]


def device(kind="cpu", *, deterministic=True):
    return SimpleNamespace(torch_device=torch.device(kind), deterministic=deterministic)


def test_torch_is_strict_in_the_block_and_as_it_was_behind_it(settings):
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = True
    before = settings()
    with deterministic_operations(device()):
        assert settings() == (True, False, False, True, before[4])
    assert settings() == before


def test_torch_is_as_it_was_behind_an_error_too(settings):
    before = settings()
    with pytest.raises(ValueError, match="other"), deterministic_operations(device()):
        raise ValueError("other")
    assert settings() == before


def test_nothing_is_set_for_a_device_that_does_not_ask(settings):
    before = settings()
    with deterministic_operations(device(deterministic=False)):
        assert settings() == before


@pytest.fixture
def cublas(monkeypatch):
    """Let a GPU be made up whose cuBLAS refuses to be deterministic if it is told to."""
    refusing = []
    ones = torch.ones

    def there(*size, device):
        assert device == torch.device("cuda")
        return ones(*size)

    def mm(*matrices):
        assert torch.are_deterministic_algorithms_enabled()
        if refusing:
            raise RuntimeError(f"not deterministic because it uses CuBLAS: set {CUBLAS}=:4096:8")

    monkeypatch.delenv(CUBLAS, raising=False)
    monkeypatch.setattr(torch, "ones", there)
    monkeypatch.setattr(torch, "mm", mm)
    return refusing


def test_cublas_is_told_in_the_block_and_the_environment_is_as_it_was_behind_it(cublas):
    with deterministic_operations(device("cuda")):
        assert os.environ[CUBLAS] == ":4096:8"
    assert CUBLAS not in os.environ


def test_what_the_user_told_cublas_stays(cublas, monkeypatch):
    monkeypatch.setenv(CUBLAS, ":16:8")
    with deterministic_operations(device("cuda")):
        assert os.environ[CUBLAS] == ":16:8"
    assert os.environ[CUBLAS] == ":16:8"


def test_a_cublas_that_has_begun_otherwise_ends_the_run_before_it_begins(cublas, settings):
    cublas.append("it is too late")
    before = settings()
    with pytest.raises(UsageError, match="`cuda` cannot be deterministic in this process") as error:
        deterministic_operations(device("cuda")).__enter__()
    assert error.value.exit_code == 2
    assert "`CUBLAS_WORKSPACE_CONFIG=:4096:8` before the process starts" in error.value.hint
    assert settings() == before


def test_the_run_is_strict_and_its_plan_and_report_say_so(small_spec, settings):
    seen = []

    class Looking(tlf.Listener):
        def batch_finished(self, epoch, images, loss):
            seen.append(settings()[:2])

    before = settings()
    run = tlf.run({**small_spec, "device": DETERMINISTIC}, listener=Looking())
    assert set(seen) == {(True, False)}
    assert settings() == before
    assert run.report["deterministic"] is True
    planned = json.loads((run.directory / "plan.json").read_text())["device"]
    assert planned["deterministic"] is True
    assert planned["reason"].endswith("; deterministic")


def test_on_the_processor_it_changes_no_number(small_spec, same_costs):
    spec = {**small_spec, "strategy": "full-fine-tuning"}
    runs = [tlf.run(spec), tlf.run({**spec, "device": DETERMINISTIC})]
    assert [run.report["deterministic"] for run in runs] == [False, True]
    for name in ("metrics.jsonl", "predictions.jsonl", "model.safetensors"):
        one, other = ((run.directory / name).read_bytes() for run in runs)
        assert one == other


@pytest.mark.parametrize(
    ("model", "where"),
    # Found by the probe, in the third batch, and where the network is looked at before any step.
    [("learns", "step `all`"), ("learns-late", "step `all`"), ("evaluates", "the run")],
)
def test_an_operation_without_such_an_implementation_is_named_with_its_step(
    unpooling, settings, model, where
):
    before = settings()
    spec = {**unpooling, "backbone": {"name": f"acme/{model}", "weights": "none"}}
    with pytest.raises(RunError) as error:
        tlf.run(spec)
    assert error.value.message == (
        f"{where} uses the operation `max_unpooling2d_forward_out`, which has no deterministic "
        "implementation on this device"
    )
    assert "`device.options.deterministic`" in error.value.hint
    assert settings() == before
    assert bool(list(Path(spec["output"]).glob("*"))) == (model == "learns-late")


def test_the_same_network_runs_where_nobody_asks_for_it(unpooling):
    plain = {"name": "cpu", "options": {"precision": "float32"}}
    spec = {**unpooling, "backbone": {"name": "acme/learns", "weights": "none"}, "device": plain}
    assert tlf.run(spec).report["deterministic"] is False


def test_other_errors_go_through():
    error = RuntimeError("something else")
    with pytest.raises(RuntimeError) as found, operations_explained(lambda: "the run"):
        raise error
    assert found.value is error
