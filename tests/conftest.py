"""What all tests share: no network, real data where it is, and tiny photographs."""

import os

# Before torch is loaded: on networks as small as these, threads cost more than they bring, and much
# more when something else is using the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import signal
import socket
from pathlib import Path

import pytest

from tests.small import spec_of, write_photographs

# A shell starts what runs in its background deaf to Ctrl-C, which processes hand on to their children:
# those that tests interrupt would not hear of it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Make any attempt to reach another machine a failure that says so."""

    def refuse(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)


numbers = itertools.count()


@pytest.fixture(autouse=True)
def cache_directory(monkeypatch, tmp_path_factory):
    """A cache of each test's own: nothing that another one computed is found."""
    # Not by `mktemp`, which looks at all that there are to find a free number.
    folder = tmp_path_factory.getbasetemp() / "caches" / str(next(numbers)) / "tlf"
    monkeypatch.setenv("TLF_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_data():
    """The folder of real image sets and weights; tests that need it skip where it is absent."""
    folder = os.environ.get("TLF_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TLF_TEST_DATA does not name the folder of real data")
    return Path(folder)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Two classes that differ in colour: 24 to train on, 10 to validate on, of 40 by 48 pixels."""
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder, {"train": 12, "val": 5}, seed=0)
    return folder


@pytest.fixture(scope="session")
def data_with_test(photographs, tmp_path_factory):
    """The section `data` of a spec of the photographs, with ten others as the test split."""
    others = tmp_path_factory.mktemp("others")
    write_photographs(others, {"test": 5}, seed=1)
    folders = {
        "train": photographs / "train",
        "validation": photographs / "val",
        "test": others / "test",
    }
    options = {name: str(folder) for name, folder in folders.items()}
    return {"name": "image-folder", "options": options}


@pytest.fixture
def small_spec(photographs, tmp_path):
    """A spec that trains a small network on tiny photographs in about a second an epoch."""
    return spec_of(
        photographs,
        backbone={"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"},
        training={"epochs": 2, "batch_size": 8},
        output=str(tmp_path / "runs"),
    )
