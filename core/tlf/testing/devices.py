"""Checks for devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from tlf.plugin import Availability, Device, DeviceBackend, Precision
from tlf.testing.promises import create, must_work, require

if TYPE_CHECKING:
    from tlf.registry import Entry

__tracebackhide__ = True


def _availability(backend: DeviceBackend[Any]) -> Availability:
    with must_work("`is_available`"):
        availability = backend.is_available()
    require(
        isinstance(availability, Availability) and isinstance(availability.available, bool),
        f"`is_available` must return an `Availability`, not {availability!r}",
    )
    return availability


def check_availability_has_a_reason(entry: Entry, example: Mapping[str, Any]) -> None:
    """`is_available` never raises, and says why."""
    reason = _availability(create(entry, example)).reason
    require(
        isinstance(reason, str) and reason.strip(),
        f"the `Availability` must have a reason in a few words, not {reason!r}",
    )


def check_device_runs_a_network(entry: Entry, example: Mapping[str, Any]) -> None:
    """Where it is available: tensors come back as they went, and its autocast context works."""
    backend = create(entry, example)
    if not _availability(backend).available:
        return
    with must_work("`create`, on a device that is available,"):
        device = backend.create()
    require(isinstance(device, Device), f"`create` must return a `Device`, not {device!r}")
    _check_values(device)
    with must_work("moving a tensor to `torch_device` and running a layer in `autocast`"):
        _run_a_layer(device)
    with must_work("`peak_memory_bytes`"):
        peak = device.peak_memory_bytes()
    require(
        isinstance(peak, int) and peak > 0,
        f"`peak_memory_bytes` must return a number of bytes above 0 once the device was used, not "
        f"{peak!r}",
    )
    with must_work("`reset_peak_memory`"):
        device.reset_peak_memory()


def _check_values(device: Device) -> None:
    from tlf.engine.parts import DEVICE_FIELDS

    for name, wanted in DEVICE_FIELDS.items():
        require(hasattr(device, name), f"the device must set `{name}`")
        value = getattr(device, name)
        require(isinstance(value, wanted), f"`{name}` must be a `{wanted.__name__}`, not {value!r}")
    known = get_args(Precision)
    require(
        device.precision in known,
        f"`precision` must be one of {', '.join(known)}, not `{device.precision}`",
    )
    require(device.chunk_size >= 1, f"`chunk_size` must be at least 1, not {device.chunk_size}")
    require(device.reason.strip(), "`reason` must say in a few words why this device")


def _run_a_layer(device: Device) -> None:
    import torch

    from tlf.data import to_device

    numbers = torch.linspace(-3, 3, 60).reshape(4, 15)
    there = to_device(numbers, device)
    require(there.cpu().equal(numbers), "a tensor did not come back from the device as it went")
    layer = torch.nn.Linear(15, 3).to(device.torch_device)
    with device.autocast():
        result = layer(there)
    device.synchronize()
    require(
        result.dtype == getattr(torch, device.precision),
        f"`autocast` computed in {result.dtype}, but `precision` says {device.precision}",
    )
    require(
        layer(there).dtype == torch.float32,
        f"after the `autocast` context, layers still compute in {layer(there).dtype}",
    )


CHECKS = (check_availability_has_a_reason, check_device_runs_a_network)
