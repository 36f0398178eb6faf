"""The GPU of an Apple computer, as a device."""

from __future__ import annotations

import torch

from tlf.plugin import Availability, Device, DeviceBackend, Precision
from tlf_builtin.mps.options import MpsOptions


class MpsDevice(Device):
    """An Apple GPU, ready to run networks.

    Args:
        precision: What networks are computed in.
        reason: Why.
        deterministic: Whether a run may use deterministic operations only.
    """

    def __init__(self, precision: Precision, reason: str, *, deterministic: bool = False) -> None:
        self.torch_device = torch.device("mps")
        self.deterministic = deterministic
        self.precision = precision
        # Rows are what every kernel of torch's for Metal takes.
        self.channels_last = False
        self.chunk_size = 32
        self.reason = reason
        self._peak_bytes = 0

    def autocast(self) -> torch.autocast:
        """Return a context in which forward passes run in `precision`."""
        return torch.autocast("mps", dtype=torch.float16, enabled=self.precision == "float16")

    def synchronize(self) -> None:
        """Wait until all work given to the GPU is done."""
        torch.mps.synchronize()
        self._look_at_memory()

    def peak_memory_bytes(self) -> int:
        """Return the most memory that Metal was seen to hold for this process, in bytes.

        Metal keeps no such count, so it is looked at here and in `synchronize`. What was taken and
        given back in between is not seen, but torch keeps most of what it took.
        """
        self._look_at_memory()
        return self._peak_bytes

    def reset_peak_memory(self) -> None:
        """Count from now on."""
        self._peak_bytes = 0

    def _look_at_memory(self) -> None:
        self._peak_bytes = max(self._peak_bytes, torch.mps.driver_allocated_memory())


class Mps(DeviceBackend[MpsOptions]):
    """The GPU of an Apple computer."""

    def is_available(self) -> Availability:
        """Say which GPU it is, or why there is none."""
        try:
            if not torch.backends.mps.is_built():
                return Availability(available=False, reason="torch was built without MPS")
            if not torch.backends.mps.is_available():
                reason = "there is no Apple GPU, or macOS is too old"
                return Availability(available=False, reason=reason)
            return Availability(available=True, reason=_describe_gpu())
        except Exception as error:  # noqa: BLE001 - a driver can fail in any way
            reason = f"the GPU does not work: {' '.join(str(error).split())}"
            return Availability(available=False, reason=reason)

    def create(self) -> Device:
        """Return the device."""
        wanted, deterministic = self.options.precision, self.options.deterministic
        precision: Precision = "float32" if wanted == "auto" else wanted
        why = "float32 unless asked otherwise" if wanted == "auto" else f"{wanted} as asked"
        reason = f"{_describe_gpu()}; {why}{'; deterministic' if deterministic else ''}"
        return MpsDevice(precision, reason, deterministic=deterministic)


def _describe_gpu() -> str:
    usable = torch.mps.recommended_max_memory() / 2**30
    return f"{torch.backends.mps.get_name()}, {usable:.1f} GiB"
