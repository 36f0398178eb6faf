"""The device `cuda`, with GPUs that are made up; `tests/gpu` has the tests on a real one."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError

from tlf_builtin.cuda import device as cuda_device
from tlf_builtin.cuda.device import Cuda, choose_precision
from tlf_builtin.cuda.options import CudaOptions

A100 = SimpleNamespace(name="A100", total_memory=40 * 2**30, major=8, minor=0)
T4 = SimpleNamespace(name="T4", total_memory=15 * 2**30, major=7, minor=5)


@pytest.fixture
def gpus(monkeypatch):
    """Return a function that puts GPUs into this machine, which only say what they are."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)

    def put(*properties):
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(properties))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(properties))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties[index])
        monkeypatch.setattr(cuda_device, "try_gpu", cuda_device.look_at_gpu)

    return put


def test_a_gpu_is_named_with_its_memory(gpus):
    gpus(A100, T4)
    found = Cuda(CudaOptions()).is_available()
    assert (found.available, found.reason) == (True, "A100, 40.0 GiB")
    assert Cuda(CudaOptions(index=1)).is_available().reason == "T4, 15.0 GiB"


def test_a_torch_that_was_built_without_cuda_is_the_reason(gpus, monkeypatch):
    gpus(A100)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    found = Cuda(CudaOptions()).is_available()
    assert (found.available, found.reason) == (False, "torch was built without CUDA")


def test_a_machine_without_a_gpu_is_the_reason(gpus):
    gpus()
    found = Cuda(CudaOptions()).is_available()
    assert (found.available, found.reason) == (False, "CUDA finds no GPU")


def test_a_gpu_of_an_index_that_is_not_there_is_the_reason(gpus):
    gpus(A100, T4)
    found = Cuda(CudaOptions(index=2)).is_available()
    assert (found.available, found.reason) == (False, "there is no GPU 2, the last one is 1")


def test_what_cuda_warns_of_is_in_the_reason_and_nowhere_else(gpus, monkeypatch):
    def warn():
        warnings.warn("the driver is too old.\nUpdate it.", stacklevel=1)
        return False

    gpus()
    monkeypatch.setattr(torch.cuda, "is_available", warn)
    assert Cuda(CudaOptions()).is_available().reason == "CUDA finds no GPU; the driver is too old"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("no kernel image.\nCUDA kernel errors"), "no kernel image"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_a_gpu_that_does_not_work_is_not_available_and_nothing_is_raised(
    gpus, monkeypatch, error, words
):
    def fail(index):
        raise error

    gpus(A100)
    monkeypatch.setattr(cuda_device, "try_gpu", fail)
    found = Cuda(CudaOptions()).is_available()
    assert (found.available, found.reason) == (False, f"GPU 0 does not work: {words}")


@pytest.mark.parametrize(
    ("wanted", "capability", "precision", "words"),
    [
        ("auto", (9, 0), "bfloat16", "bfloat16: the GPU has compute capability 9.0"),
        ("auto", (8, 0), "bfloat16", "bfloat16: the GPU has compute capability 8.0"),
        (
            "auto",
            (7, 5),
            "float16",
            "float16: bfloat16 needs compute capability 8.0, the GPU has 7.5",
        ),
        ("bfloat16", (9, 0), "bfloat16", "bfloat16 as asked"),
        (
            "bfloat16",
            (7, 5),
            "bfloat16",
            "bfloat16 as asked, slow here: it needs compute capability 8.0, the GPU has 7.5",
        ),
        ("float16", (9, 0), "float16", "float16 as asked"),
        ("float32", (7, 5), "float32", "float32 as asked"),
    ],
)
def test_the_precision_follows_from_the_gpus_features(wanted, capability, precision, words):
    assert choose_precision(wanted, capability) == (precision, words)


def test_the_device_is_the_gpu_of_that_index_and_says_why(gpus):
    gpus(T4, A100)
    device = Cuda(CudaOptions(index=1)).create()
    assert device.torch_device == torch.device("cuda", 1)
    assert device.precision == "bfloat16"
    assert device.reason == "A100, 40.0 GiB; bfloat16: the GPU has compute capability 8.0"
    assert (device.channels_last, device.chunk_size, device.pin_memory) == (True, 64, True)


def test_the_device_is_deterministic_if_that_is_asked_for_and_says_so(gpus):
    gpus(A100)
    assert not Cuda(CudaOptions()).create().deterministic
    device = Cuda(CudaOptions(deterministic=True)).create()
    assert device.deterministic
    assert device.reason.endswith("; deterministic")


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("bfloat16", True)])
def test_float32_is_float32_in_convolutions_too(gpus, precision, allowed):
    gpus(A100)
    Cuda(CudaOptions(precision=precision)).create()
    assert torch.backends.cudnn.allow_tf32 == allowed


def test_the_device_asks_torch_about_its_own_gpu(gpus, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "synchronize", asked.append)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: device.index + 100)
    gpus(T4, A100)
    device = Cuda(CudaOptions(index=1)).create()
    device.synchronize()
    device.reset_peak_memory()
    assert asked == [torch.device("cuda", 1)] * 2
    assert device.peak_memory_bytes() == 101


@pytest.mark.parametrize(
    "options", [{"precision": "int8"}, {"index": -1}, {"index": None}, {"device": 0}]
)
def test_unknown_options_are_refused(options):
    with pytest.raises(ValidationError):
        CudaOptions(**options)
