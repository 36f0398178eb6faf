"""A small real network with a head, built through the registry as a run builds it."""

import copy

import pytest
import torch

from tlf.engine.network import build_network
from tlf.engine.prepare import prepare
from tlf.registry import check, load_registry
from tlf.spec import load_raw


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
