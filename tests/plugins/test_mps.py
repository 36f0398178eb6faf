"""The device `mps`, with an Apple GPU that is made up."""

import pytest
import torch
from pydantic import ValidationError

from tlf_builtin.mps.device import Mps
from tlf_builtin.mps.options import MpsOptions


@pytest.fixture
def apple(monkeypatch):
    """Put an Apple GPU into this machine that only says what it is; return the memory it holds."""
    held = [1000]
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "get_name", lambda: "Apple M2")
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 10 * 2**30)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: held[0])
    monkeypatch.setattr(torch.mps, "synchronize", lambda: None)
    return held


def test_a_gpu_is_named_with_the_memory_that_it_may_use(apple):
    found = Mps(MpsOptions()).is_available()
    assert (found.available, found.reason) == (True, "Apple M2, 10.0 GiB")


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("is_built", "torch was built without MPS"),
        ("is_available", "there is no Apple GPU, or macOS is too old"),
    ],
)
def test_what_is_missing_is_the_reason(apple, monkeypatch, lacking, words):
    monkeypatch.setattr(torch.backends.mps, lacking, lambda: False)
    found = Mps(MpsOptions()).is_available()
    assert (found.available, found.reason) == (False, words)


def test_a_gpu_that_does_not_work_is_not_available_and_nothing_is_raised(apple, monkeypatch):
    def fail():
        raise RuntimeError("Metal is\nlost")

    monkeypatch.setattr(torch.backends.mps, "get_name", fail)
    found = Mps(MpsOptions()).is_available()
    assert (found.available, found.reason) == (False, "the GPU does not work: Metal is lost")


@pytest.mark.parametrize(
    ("wanted", "precision", "why"),
    [
        ("auto", "float32", "float32 unless asked otherwise"),
        ("float32", "float32", "float32 as asked"),
        ("float16", "float16", "float16 as asked"),
    ],
)
def test_the_precision_is_float32_unless_asked_otherwise(apple, wanted, precision, why):
    device = Mps(MpsOptions(precision=wanted)).create()
    assert (device.precision, device.reason) == (precision, f"Apple M2, 10.0 GiB; {why}")
    assert device.torch_device == torch.device("mps")
    assert (device.channels_last, device.chunk_size, device.pin_memory) == (False, 32, False)


def test_the_device_is_deterministic_if_that_is_asked_for_and_says_so(apple):
    assert not Mps(MpsOptions()).create().deterministic
    device = Mps(MpsOptions(deterministic=True)).create()
    assert device.deterministic
    assert device.reason.endswith("float32 unless asked otherwise; deterministic")


def test_peak_memory_is_the_most_that_was_seen_whenever_it_was_looked_at(apple):
    device = Mps(MpsOptions()).create()
    apple[0] = 5000
    device.synchronize()
    apple[0] = 2000
    assert device.peak_memory_bytes() == 5000
    apple[0] = 9000
    assert device.peak_memory_bytes() == 9000
    device.reset_peak_memory()
    apple[0] = 3000
    assert device.peak_memory_bytes() == 3000


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"index": 0}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ValidationError):
        MpsOptions(**options)
