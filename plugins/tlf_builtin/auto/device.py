"""Takes the first device that is there, the fastest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlf.plugin import Availability, Device, DeviceBackend
from tlf_builtin.auto.options import AutoOptions
from tlf_builtin.cpu.device import Cpu
from tlf_builtin.cpu.options import CpuOptions

#: What to try, by name, in order. The last one is always there.
CHOICES: dict[str, Callable[[AutoOptions], DeviceBackend[Any]]] = {
    "cpu": lambda options: Cpu(CpuOptions(precision=options.precision)),
}


class Auto(DeviceBackend[AutoOptions]):
    """The best device that is there."""

    def is_available(self) -> Availability:
        """Say what would be taken."""
        name, _, why = self._choose()
        return Availability(available=True, reason=f"takes {name}: {why}")

    def create(self) -> Device:
        """Return that device."""
        name, backend, _ = self._choose()
        device = backend.create()
        device.reason = f"auto took {name}: {device.reason}"
        return device

    def _choose(self) -> tuple[str, DeviceBackend[Any], str]:
        passed_over: list[str] = []
        for name, make in CHOICES.items():
            backend = make(self.options)
            found = backend.is_available()
            if found.available:
                return name, backend, "; ".join([found.reason, *passed_over])
            passed_over.append(f"no {name} ({found.reason})")
        raise RuntimeError(f"no device is there: {'; '.join(passed_over)}")
