"""A small real network with a head, built through the registry as a run builds it."""

import copy
import dataclasses
import functools

import pytest
import torch

import tlf
from tlf.engine.costs import assumed_costs
from tlf.engine.network import build_network
from tlf.engine.pages import write_page
from tlf.engine.prepare import prepare
from tlf.plugin import Device
from tlf.registry import check, load_registry
from tlf.spec import load_raw
from tlf_builtin.cpu.device import Cpu


@pytest.fixture(autouse=True)
def no_pages(monkeypatch):
    """Write no pages of runs, which takes as long as these runs do."""
    monkeypatch.setattr("tlf.engine.pages.write_page", lambda folder: folder / "report.html")


@pytest.fixture
def with_pages(no_pages, monkeypatch):
    """Write pages all the same."""
    monkeypatch.setattr("tlf.engine.pages.write_page", write_page)


@pytest.fixture
def make_job(small_spec):
    """Plan a run of the small spec, changed as a test needs it."""

    def make(**changes):
        raw = load_raw({**copy.deepcopy(small_spec), **changes})
        registry = load_registry()
        return prepare(check(raw, registry), raw.folder, registry)

    return make


@pytest.fixture
def job(make_job):
    return make_job(strategy="full-fine-tuning")


@pytest.fixture
def model(job):
    with torch.random.fork_rng():
        return build_network(job)


@pytest.fixture
def same_costs(monkeypatch):
    """Let every run believe the same costs, so that what it keeps depends on no clock."""
    monkeypatch.setattr("tlf.engine.boundary.measured_costs", lambda job, _: assumed_costs(job))


class HalfDevice(Device):
    """The processor in float16."""

    def __init__(self):
        self.torch_device = torch.device("cpu")
        self.precision = "float16"
        self.channels_last = True
        self.chunk_size = 4
        self.reason = "for a test"

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.float16)

    def synchronize(self):
        pass

    def peak_memory_bytes(self):
        return 1


@pytest.fixture
def half_job(job):
    """A run of everything in float16."""
    return dataclasses.replace(job, device=HalfDevice())


@pytest.fixture
def run_in_half(small_spec, monkeypatch):
    """Carry out the small spec in float16, changed as a test needs it."""

    class HalfCpu(Cpu):
        def create(self):
            return HalfDevice()

    monkeypatch.setattr("tlf_builtin.cpu.device.Cpu", HalfCpu)

    def run_in_half(**changes):
        return tlf.run({**copy.deepcopy(small_spec), "strategy": "full-fine-tuning", **changes})

    return run_in_half


@pytest.fixture
def scale_from(monkeypatch):
    """Return a function that makes every new scaler start at some scale."""

    def scale_from(scale):
        scaler = functools.partial(torch.amp.GradScaler, init_scale=float(scale))
        monkeypatch.setattr(torch.amp, "GradScaler", scaler)

    return scale_from


@pytest.fixture
def set_threads():
    """Set the number of torch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
