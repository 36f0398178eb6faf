"""The device `cuda` on a real GPU: `make test-gpu`."""

import copy
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tlf
from tlf.data import to_device
from tlf.engine.generators import forked_generators
from tlf.engine.loop import training_loss
from tlf.engine.losses import loss_of
from tlf.engine.network import build_network
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.prepare import prepare
from tlf.errors import RunInterrupted
from tlf.registry import check, load_registry
from tlf.spec import load_raw
from tlf.testing import PluginContract
from tlf_builtin.auto.device import Auto
from tlf_builtin.auto.options import AutoOptions
from tlf_builtin.cuda.device import Cuda
from tlf_builtin.cuda.options import CudaOptions

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA finds no GPU"),
]

PRECISIONS = ("float32", "bfloat16", "float16")


class TestContract(PluginContract):
    plugin = "cuda"


@pytest.fixture(autouse=True)
def tf32():
    """Undo what the device in float32 does to the whole process."""
    before = torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def spec_on_gpu(small_spec):
    """Return a function that makes a spec of a precision, changed as a test needs it."""

    def spec_on_gpu(precision, **changes):
        device = {"name": "cuda", "options": {"precision": precision}}
        changes = {"strategy": "full-fine-tuning", "device": device, **changes}
        return {**copy.deepcopy(small_spec), **changes}

    return spec_on_gpu


@pytest.fixture
def job_on_gpu(spec_on_gpu):
    """Return a function that plans a run in a precision."""

    def job_on_gpu(precision, **changes):
        raw, registry = load_raw(spec_on_gpu(precision, **changes)), load_registry()
        return prepare(check(raw, registry), raw.folder, registry)

    return job_on_gpu


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def random_batch(job):
    images = to_device(torch.randn(4, 3, 32, 32), job.device)
    return images.contiguous(memory_format=torch.channels_last), torch.tensor([0, 1, 0, 1])


def train_batch(job, model, optimizer):
    images, labels = random_batch(job)
    cost, targets = loss_of(job.spec.training, job.plan, None), to_device(labels, job.device)
    loss = training_loss(model, images, 0, targets, loss=cost, device=job.device)
    optimizer.backward(loss)
    optimizer.step(1.0)


def optimizer_of(job, model):
    (step,) = job.plan.steps
    model.thaw(step.trainable)
    return StepOptimizer(model, step, job.spec.training, job.device.precision)


def test_the_gpu_is_available_and_named():
    found = Cuda(CudaOptions()).is_available()
    assert found.available
    assert found.reason.startswith(torch.cuda.get_device_name(0))
    assert found.reason.endswith(" GiB")


def test_a_gpu_that_is_not_there_is_the_reason():
    found = Cuda(CudaOptions(index=torch.cuda.device_count())).is_available()
    assert not found.available
    assert "there is no GPU" in found.reason


def test_auto_takes_the_gpu_in_half_precision():
    device = Auto(AutoOptions()).create()
    assert device.torch_device.type == "cuda"
    assert device.precision in ("bfloat16", "float16")
    assert device.reason.startswith("auto took cuda: ")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_learns_and_its_network_predicts_the_same_once_loaded(
    spec_on_gpu, photographs, precision
):
    run = tlf.run(spec_on_gpu(precision, training={"epochs": 4, "batch_size": 8}))
    losses = [line["train"]["loss"] for line in lines(run.directory / "metrics.jsonl")]
    assert losses[-1] < losses[0]
    assert run.report["precision"] == precision
    assert run.report["peak_memory_bytes"] > 0

    written = lines(run.directory / "predictions.jsonl")
    # An item's id is its path below the data's folder or split; names of files are enough here.
    paths = [
        photographs / "val" / line["label"] / line["id"].rpartition("/")[2] for line in written
    ]
    for line, found in zip(written, tlf.load(run.directory).predict(paths), strict=True):
        assert found.probabilities == pytest.approx(line["probabilities"], abs=1e-3)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_frozen_keeps_its_bytes_and_the_head_learns(spec_on_gpu, job_on_gpu, precision):
    changes = {"strategy": "feature-extraction", "training": {"epochs": 2, "batch_size": 8}}
    with torch.random.fork_rng(devices=[]):
        before = build_network(job_on_gpu(precision, **changes)).state_dict()
    run = tlf.run(spec_on_gpu(precision, **changes))
    after = load_file(run.directory / "model.safetensors")
    changed = {name for name, tensor in after.items() if not tensor.equal(before[name].cpu())}
    assert changed == {"head.linear.weight", "head.linear.bias"}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("strategy", ["feature-extraction", "gradual-unfreezing"])
def test_features_that_are_found_are_those_that_are_computed(spec_on_gpu, precision, strategy):
    changes = {"strategy": strategy, "training": {"epochs": 3, "batch_size": 8, "views": 2}}
    runs = [
        tlf.run(spec_on_gpu(precision, **changes, cache={"mode": mode}))
        for mode in ("auto", "auto", "off")
    ]
    if strategy == "feature-extraction":
        assert runs[1].report["images_through_backbone"] == 0
    # Where the network itself trains, some of CUDA's kernels add in whatever order they finish.
    first = lines(runs[0].directory / "metrics.jsonl")[0]
    for run in runs[1:]:
        assert lines(run.directory / "metrics.jsonl")[0] == first


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("strategy", "options", "recorded"),
    [
        ("robust", {"trainings": 2, "soup": "greedy"}, "combined"),
        ("surgical", {"count": 1}, "picked"),
        ("gradual-unfreezing", {"advance": "on-plateau"}, "selection"),
        ("l2-sp", {}, "cache"),
    ],
)
def test_weights_are_averaged_picked_put_back_and_pulled(
    spec_on_gpu, precision, strategy, options, recorded
):
    changes = {"strategy": {"name": strategy, "options": options}}
    training = {"epochs": 2, "batch_size": 8}
    run = tlf.run(spec_on_gpu(precision, **changes, training=training))
    assert recorded in run.report["steps"][-1]
    assert math.isfinite(run.metrics["loss"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_memory_format_is_kept_through_the_network_and_a_step(job_on_gpu, precision):
    job = job_on_gpu(precision)
    with forked_generators(job.device.torch_device):
        model = build_network(job)
        optimizer = optimizer_of(job, model)
        wrong = []

        def look(module, inputs, output):
            if not output.is_contiguous(memory_format=torch.channels_last):
                wrong.append((type(module).__name__, output.stride()))

        convolutions = [
            module
            for module in model.backbone.module.modules()
            if isinstance(module, torch.nn.Conv2d)
        ]
        hooks = [module.register_forward_hook(look) for module in convolutions]
        for _ in range(2):
            train_batch(job, model, optimizer)
        for hook in hooks:
            hook.remove()
    assert convolutions
    assert wrong == []
    for module in convolutions:
        assert module.weight.device.type == "cuda"
        assert module.weight.dtype == torch.float32
        assert module.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_goes_on_where_it_was_stopped(spec_on_gpu, tmp_path, precision):
    class Stops(tlf.Listener):
        batches = 4

        def batch_finished(self, epoch, images, loss):
            self.batches -= 1

        def asked_to_stop(self):
            return RunInterrupted if self.batches <= 0 else None

    spec = spec_on_gpu(precision, head={"name": "linear", "options": {"dropout": 0.3}})
    whole = tlf.run(spec, output_directory=tmp_path / "whole")
    with pytest.raises(RunInterrupted):
        tlf.run(spec, output_directory=tmp_path / "stopped", listener=Stops())
    resumed = tlf.resume(tmp_path / "stopped")
    assert resumed.report["resumed"] == 1
    expected = load_file(whole.directory / "model.safetensors")
    # Some of CUDA's kernels add in whatever order they finish.
    for name, tensor in load_file(resumed.directory / "model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-2, atol=1e-2)


def test_a_step_that_overflows_in_float16_changes_no_parameter(job_on_gpu):
    job = job_on_gpu("float16")
    with forked_generators(job.device.torch_device):
        model = build_network(job)
        optimizer = optimizer_of(job, model)
        before = {name: p.detach().clone() for name, p in optimizer.parameters.items()}
        optimizer.scaler.load_state_dict(optimizer.scaler.state_dict() | {"scale": 2.0**100})
        train_batch(job, model, optimizer)
    assert optimizer.scale == 2.0**99
    assert all(p.equal(before[name]) for name, p in optimizer.parameters.items())
    assert optimizer.state_by_name() == {}


#: In a process of its own, where cuBLAS has not begun: two runs, and what torch is set to around them.
TWICE = """
import json, os, sys, tlf, torch

def settings():
    cudnn = torch.backends.cudnn
    flags = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark, cudnn.deterministic
    return [*flags, os.environ.get("CUBLAS_WORKSPACE_CONFIG")]

class Looking(tlf.Listener):
    def batch_finished(self, epoch, images, loss):
        seen.append(settings())

seen, before = [], settings()
spec = json.loads(sys.argv[1])
runs = [tlf.run(spec, listener=Looking()) for _ in range(2)]
assert settings() == before, settings()
assert all(one == [True, False, True, ":4096:8"] for one in seen), seen
print(json.dumps([str(run.directory) for run in runs]))
"""


def without_cublas():
    return {name: it for name, it in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_deterministic_runs_are_equal_to_the_last_byte(spec_on_gpu, precision):
    device = {"name": "cuda", "options": {"precision": precision, "deterministic": True}}
    training = {"epochs": 3, "batch_size": 8}
    spec = spec_on_gpu(precision, device=device, training=training, cache={"mode": "off"})
    command = [sys.executable, "-c", TWICE, json.dumps(spec)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=without_cublas()
    )
    one, other = map(Path, json.loads(done.stdout.splitlines()[-1]))
    for name in ("metrics.jsonl", "predictions.jsonl", "model.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert json.loads((one / "report.json").read_text())["deterministic"] is True


TOO_LATE = """
import json, sys, tlf, torch

square = torch.ones(4, 4, device="cuda")
square @ square
try:
    tlf.run(json.loads(sys.argv[1]))
except tlf.TlfError as error:
    print(error.exit_code, error.message, error.hint)
assert not torch.are_deterministic_algorithms_enabled()
"""


def test_a_process_in_which_cublas_has_begun_is_told_what_to_set_before_it_starts(spec_on_gpu):
    device = {"name": "cuda", "options": {"precision": "float32", "deterministic": True}}
    command = [sys.executable, "-c", TOO_LATE, json.dumps(spec_on_gpu("float32", device=device))]
    plain, told = (
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        for environment in (
            without_cublas(),
            {**without_cublas(), "CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
        )
    )
    assert plain.stdout.startswith("2 `cuda:0` cannot be deterministic in this process")
    assert "`CUBLAS_WORKSPACE_CONFIG=:4096:8` before the process starts" in plain.stdout
    assert told.stdout == ""


def test_inputs_arrive_from_pinned_memory_as_they_went():
    device = Cuda(CudaOptions()).create()
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    there = [to_device(images + number, device) for number in range(8)]
    device.synchronize()
    assert all(one.cpu().equal(images + number) for number, one in enumerate(there))


def test_in_float32_convolutions_are_exact_to_float32():
    torch.backends.cudnn.allow_tf32 = True
    device = Cuda(CudaOptions(precision="float32")).create()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images, layer = torch.randn(8, 64, 16, 16), torch.nn.Conv2d(64, 64, 3)
    exact = copy.deepcopy(layer).double()(images.double())
    with device.autocast():
        found = layer.to(device.torch_device)(images.to(device.torch_device))
    # TF32 would be off by about 1e-3.
    assert (found.cpu().double() - exact).abs().max() < 1e-5


def test_a_run_on_the_cpu_does_not_start_cuda(small_spec):
    script = (
        "import json, sys, tlf, torch\n"
        "tlf.run(json.loads(sys.argv[1]))\n"
        "assert not torch.cuda.is_initialized()\n"
    )
    spec = json.dumps({**small_spec, "training": {"epochs": 1, "batch_size": 8}})
    subprocess.run([sys.executable, "-c", script, spec], check=True)
