"""Devices that break a promise, each caught and told what to change."""

import contextlib
import sys

import pytest
import torch

from tlf.plugin import Availability
from tlf.testing import ContractError
from tlf.testing.devices import (
    CHECKS,
    check_availability_has_a_reason,
    check_device_runs_a_network,
)
from tlf.testing.toys import ToyBackend, ToyDevice

from .saboteurs import Saboteur


class Raising(ToyBackend):
    def is_available(self):
        raise RuntimeError("no driver")


class Leaving(ToyBackend):
    def is_available(self):
        sys.exit("no driver")


class Yes(ToyBackend):
    def is_available(self):
        return True


class NoReason(ToyBackend):
    def is_available(self):
        return Availability(False, " ")


class NoWords(ToyBackend):
    def is_available(self):
        return Availability(False, None)


class Name(ToyBackend):
    def create(self):
        return "cpu"


class Uncreated(ToyBackend):
    def create(self):
        raise OSError("no such device")


def backend(**values):
    """Return a backend whose device has other values, or lacks those that are None."""

    class Other(ToyDevice):
        def __init__(self):
            super().__init__()
            for name, value in values.items():
                setattr(self, name, value)
                if value is None:
                    delattr(self, name)

    return type("_".join(values), (ToyBackend,), {"device": Other})


@contextlib.contextmanager
def left_on():
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.bfloat16)
    yield


def broken(message):
    def raise_it():
        raise RuntimeError(message)

    return raise_it


SABOTEURS = (
    Saboteur(check_availability_has_a_reason, Raising, "`is_available` must not fail.*no driver"),
    Saboteur(check_availability_has_a_reason, Leaving, "`is_available` must not fail.*sys.exit"),
    Saboteur(check_availability_has_a_reason, Yes, "must return an `Availability`, not True"),
    Saboteur(check_availability_has_a_reason, NoReason, "must have a reason in a few words"),
    Saboteur(check_availability_has_a_reason, NoWords, "must have a reason in a few words"),
    Saboteur(check_availability_has_a_reason, int, "subclass of `tlf.plugin.DeviceBackend`"),
    Saboteur(check_device_runs_a_network, Raising, "`is_available` must not fail"),
    Saboteur(check_device_runs_a_network, Name, "`create` must return a `Device`, not 'cpu'"),
    Saboteur(check_device_runs_a_network, Uncreated, "`create`, on a device .* no such device"),
    Saboteur(check_device_runs_a_network, backend(chunk_size=None), "must set `chunk_size`"),
    Saboteur(check_device_runs_a_network, backend(chunk_size=0), "at least 1, not 0"),
    Saboteur(check_device_runs_a_network, backend(torch_device="cpu"), "must be a `device`"),
    Saboteur(check_device_runs_a_network, backend(reason=""), "`reason` must say"),
    Saboteur(check_device_runs_a_network, backend(pin_memory="yes"), "must be a `bool`, not 'yes'"),
    Saboteur(check_device_runs_a_network, backend(deterministic=1), "must be a `bool`, not 1"),
    Saboteur(check_device_runs_a_network, backend(precision="fast"), "one of float32, .*`fast`"),
    Saboteur(
        check_device_runs_a_network,
        backend(precision="float32"),
        "computed in torch.bfloat16, but `precision` says float32",
    ),
    Saboteur(
        check_device_runs_a_network,
        backend(torch_device=torch.device("meta")),
        "moving a tensor to `torch_device`",
    ),
    Saboteur(check_device_runs_a_network, backend(autocast=lambda: 0), "layer in `autocast`"),
    Saboteur(check_device_runs_a_network, backend(autocast=left_on), "after the `autocast`"),
    Saboteur(check_device_runs_a_network, backend(synchronize=broken("lost")), "fails .*: lost"),
    Saboteur(
        check_device_runs_a_network,
        backend(peak_memory_bytes=lambda: 0),
        "a number of bytes above 0 .* not 0",
    ),
)


@pytest.fixture(autouse=True)
def autocast_off():
    """Undo what a saboteur leaves behind."""
    before = torch.get_autocast_dtype("cpu")
    yield
    torch.set_autocast_enabled("cpu", False)
    torch.set_autocast_dtype("cpu", before)


@pytest.mark.parametrize("check", CHECKS)
def test_a_device_that_keeps_its_promises_passes(check, declare):
    check(declare("device"), {})


def test_a_device_that_pins_memory_where_that_cannot_be_is_told_so(declare, monkeypatch):
    def refuse(tensor):
        raise RuntimeError("no accelerator")

    monkeypatch.setattr(torch.Tensor, "pin_memory", refuse)
    with pytest.raises(ContractError, match=r"moving a tensor .* no accelerator"):
        check_device_runs_a_network(declare("device", backend(pin_memory=True)), {})


def test_a_device_that_is_not_available_is_not_created(declare):
    class Elsewhere(Uncreated):
        def is_available(self):
            return Availability(False, "this machine has none")

    for check in CHECKS:
        check(declare("device", Elsewhere), {})


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=str)
def test_a_device_that_breaks_a_promise_is_told_what_to_change(saboteur, declare):
    entry = declare("device", saboteur.target)
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry, {})
