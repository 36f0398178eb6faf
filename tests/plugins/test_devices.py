"""The devices `cpu` and `auto`: what they take, and why."""

import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError

from tlf.plugin import Availability
from tlf_builtin.auto.device import Auto
from tlf_builtin.auto.options import AutoOptions
from tlf_builtin.cpu import device as cpu_device
from tlf_builtin.cpu.device import Cpu
from tlf_builtin.cpu.options import CpuOptions
from tlf_builtin.cuda.device import Cuda
from tlf_builtin.mps.device import Mps


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.fixture
def features(monkeypatch):
    """Return a function that gives the processor these features and no others."""

    def have(*names):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(names, True))

    return have


@pytest.mark.parametrize(
    ("present", "precision", "words"),
    [
        (("avx2", "avx512_bf16"), "bfloat16", "the processor has AVX-512 BF16"),
        (("amx_bf16", "avx512_bf16"), "bfloat16", "the processor has AMX"),
        (("avx2", "avx512_f"), "float32", "no instructions for bfloat16"),
        ((), "float32", "no instructions for bfloat16"),
    ],
)
def test_auto_precision_follows_from_the_processors_features(features, present, precision, words):
    features(*present)
    device = Cpu(CpuOptions()).create()
    assert device.precision == precision
    assert words in device.reason


def test_a_precision_that_is_asked_for_is_taken_and_said_to_be_slow(features):
    features("avx2")
    device = Cpu(CpuOptions(precision="bfloat16")).create()
    assert device.precision == "bfloat16"
    assert "slow here" in device.reason
    features("avx512_bf16")
    assert "slow" not in Cpu(CpuOptions(precision="bfloat16")).create().reason
    assert Cpu(CpuOptions(precision="float32")).create().precision == "float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_autocast_computes_in_the_precision(precision):
    device = Cpu(CpuOptions(precision=precision)).create()
    layer = torch.nn.Linear(4, 4)
    with device.autocast():
        result = layer(torch.ones(2, 4))
    assert result.dtype == getattr(torch, precision)
    assert layer(torch.ones(2, 4)).dtype == torch.float32


def test_the_cpu_is_always_there_with_fixed_chunks():
    availability = Cpu(CpuOptions()).is_available()
    device = Cpu(CpuOptions()).create()
    assert availability.available
    assert availability.reason.startswith(f"{torch.get_num_threads()} thread")
    assert device.torch_device == torch.device("cpu")
    assert (device.channels_last, device.chunk_size) == (True, 8)
    device.synchronize()


@pytest.mark.parametrize("backend", [Cpu, Auto])
def test_a_device_is_deterministic_if_that_is_asked_for_and_says_so(gpus, backend):
    options = {Cpu: CpuOptions, Auto: AutoOptions}[backend]
    plain, strict = (backend(options(deterministic=it)).create() for it in (False, True))
    assert (plain.deterministic, strict.deterministic) == (False, True)
    assert "deterministic" not in plain.reason
    assert "; deterministic" in strict.reason
    # Nothing is set yet: a run does that, and puts it back.
    assert not torch.are_deterministic_algorithms_enabled()


def test_threads_are_set_when_the_device_is_created_and_not_before(threads):
    backend = Cpu(CpuOptions(threads=threads + 1))
    assert backend.is_available().reason == f"{threads + 1} threads"
    assert torch.get_num_threads() == threads
    assert backend.create().reason.startswith(f"{threads + 1} threads; ")
    assert torch.get_num_threads() == threads + 1
    assert Cpu(CpuOptions(threads=1)).create().reason.startswith("1 thread; ")


def test_peak_memory_is_in_bytes_and_grows():
    device = Cpu(CpuOptions()).create()
    # A python with torch in it takes more than 50 MB and less than a terabyte.
    before = device.peak_memory_bytes()
    assert 50e6 < before < 1e12
    assert device.peak_memory_bytes() >= before


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can count anew")
def test_peak_memory_is_counted_anew_for_a_run_that_follows_another():
    device = Cpu(CpuOptions()).create()
    held = torch.ones(50_000_000)
    before = device.peak_memory_bytes()
    del held
    device.reset_peak_memory()
    assert device.peak_memory_bytes() < before - 150e6


def test_where_the_system_has_no_file_about_the_process_its_count_of_peak_memory_is_in_bytes_too(
    monkeypatch,
):
    def refuse(path, *_, **__):
        raise FileNotFoundError(path)

    device = Cpu(CpuOptions()).create()
    monkeypatch.setattr(Path, "read_text", refuse)
    counted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(sys, "platform", "linux")
    assert device.peak_memory_bytes() == pytest.approx(counted * 1024, rel=0.2)
    # There the count is in bytes already.
    monkeypatch.setattr(sys, "platform", "darwin")
    assert device.peak_memory_bytes() == pytest.approx(counted, rel=0.2)


@pytest.mark.parametrize("options", [{"precision": "float16"}, {"threads": 0}, {"thread": 2}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ValidationError):
        CpuOptions(**options)


@pytest.fixture
def gpus(monkeypatch):
    """Take all GPUs out of this machine, and return a function that puts one in."""
    have = {}
    for backend in (Cuda, Mps):
        monkeypatch.setattr(
            backend,
            "is_available",
            lambda self: have.get(type(self), Availability(False, f"{type(self).__name__} is out")),
        )
        monkeypatch.setattr(backend, "create", lambda self: SimpleNamespace(reason="a GPU"))

    def put_in(backend):
        have[backend] = Availability(True, f"{backend.__name__} is in")

    return put_in


NO_GPU = "no cuda (Cuda is out), no mps (Mps is out)"


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_auto_takes_the_processor_if_there_is_no_gpu_and_says_why(gpus, precision):
    backend = Auto(AutoOptions(precision=precision))
    device, cpu = backend.create(), Cpu(CpuOptions(precision=precision)).create()
    threads = Cpu(CpuOptions()).is_available().reason
    assert backend.is_available() == Availability(True, f"takes cpu: {threads}; {NO_GPU}")
    assert device.reason == f"auto took cpu: {cpu.reason}; {NO_GPU}"
    assert (device.precision, device.chunk_size) == (cpu.precision, cpu.chunk_size)


def test_auto_takes_cuda_before_mps_before_the_processor(gpus):
    gpus(Mps)
    backend = Auto(AutoOptions())
    assert backend.is_available().reason == "takes mps: Mps is in; no cuda (Cuda is out)"
    assert backend.create().reason == "auto took mps: a GPU; no cuda (Cuda is out)"
    gpus(Cuda)
    assert backend.is_available().reason == "takes cuda: Cuda is in"
    assert backend.create().reason == "auto took cuda: a GPU"


def test_auto_passes_over_a_device_that_lacks_the_precision(gpus):
    gpus(Mps)
    device = Auto(AutoOptions(precision="bfloat16")).create()
    assert device.precision == "bfloat16"
    assert device.reason.endswith("; no cuda (Cuda is out), mps has no bfloat16")


def test_auto_is_not_available_if_no_device_has_the_precision(gpus):
    backend = Auto(AutoOptions(precision="float16"))
    reason = f"{NO_GPU}, cpu has no float16"
    assert backend.is_available() == Availability(False, reason)
    with pytest.raises(RuntimeError, match="cpu has no float16"):
        backend.create()


def test_this_processors_features_are_asked_for():
    flag = torch.cpu.get_capabilities()
    expected = flag.get("amx_bf16", False) or flag.get("avx512_bf16", False)
    assert (cpu_device.fast_bfloat16() is not None) == expected
