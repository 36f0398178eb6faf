"""Takes the first device that is there, the fastest first."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from tlf.plugin import Availability, Device, DeviceBackend, Options
from tlf_builtin.auto.options import AutoOptions
from tlf_builtin.cpu.device import Cpu
from tlf_builtin.cpu.options import CpuOptions
from tlf_builtin.cuda.device import Cuda
from tlf_builtin.cuda.options import CudaOptions
from tlf_builtin.mps.device import Mps
from tlf_builtin.mps.options import MpsOptions

#: What to try, by name, in order.
CHOICES: dict[str, tuple[type[DeviceBackend[Any]], type[Options]]] = {
    "cuda": (Cuda, CudaOptions),
    "mps": (Mps, MpsOptions),
    "cpu": (Cpu, CpuOptions),
}


class Auto(DeviceBackend[AutoOptions]):
    """The best device that is there."""

    def is_available(self) -> Availability:
        """Say what would be taken, and why nothing faster."""
        taken, passed_over = self._choose()
        if taken is None:
            return Availability(available=False, reason=", ".join(passed_over))
        name, _, why = taken
        return Availability(available=True, reason=_sentence(f"takes {name}: {why}", passed_over))

    def create(self) -> Device:
        """Return that device."""
        taken, passed_over = self._choose()
        if taken is None:
            raise RuntimeError(f"no device can be used: {', '.join(passed_over)}")
        name, backend, _ = taken
        device = backend.create()
        device.reason = _sentence(f"auto took {name}: {device.reason}", passed_over)
        return device

    def _choose(self) -> tuple[tuple[str, DeviceBackend[Any], str] | None, list[str]]:
        """Return name, backend and reason of what is taken, and why others were passed over."""
        precision = self.options.precision
        wanted = {"precision": precision, "deterministic": self.options.deterministic}
        passed_over: list[str] = []
        for name, (backend, options) in CHOICES.items():
            try:
                made = backend(options.model_validate(wanted))
            except ValidationError:
                passed_over.append(f"{name} has no {precision}")
                continue
            found = made.is_available()
            if found.available:
                return (name, made, found.reason), passed_over
            passed_over.append(f"no {name} ({found.reason})")
        return None, passed_over


def _sentence(taken: str, passed_over: list[str]) -> str:
    return "; ".join([taken, ", ".join(passed_over)]) if passed_over else taken
