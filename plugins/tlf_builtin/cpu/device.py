"""The processor as a device."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch

from tlf.plugin import Availability, Device, DeviceBackend, Precision
from tlf_builtin.cpu.options import CpuOptions

#: Instructions that multiply bfloat16 matrices faster than float32 ones, by torch's names.
_FAST_BFLOAT16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16"}


class CpuDevice(Device):
    """The processor, ready to run networks.

    Args:
        precision: What networks are computed in.
        reason: Why.
        deterministic: Whether a run may use deterministic operations only.
    """

    def __init__(self, precision: Precision, reason: str, *, deterministic: bool = False) -> None:
        self.torch_device = torch.device("cpu")
        self.deterministic = deterministic
        self.precision = precision
        self.channels_last = True
        # Large enough that a layer's work fills a few cores, small enough that a short last chunk
        # wastes little and activations stay near the caches.
        self.chunk_size = 8
        self.reason = reason

    def autocast(self) -> torch.autocast:
        """Return a context in which forward passes run in `precision`."""
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def synchronize(self) -> None:
        """Return at once: the processor's work is done when its call returns."""

    def peak_memory_bytes(self) -> int:
        """Return the most memory that this process has held so far, in bytes."""
        try:
            # The count below begins, on Linux, with what the process that started this one had held.
            status = Path("/proc/self/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) * 1024
        except (OSError, ValueError, IndexError):
            pass
        try:
            import resource
        except ImportError:
            # Windows has no such count; torch has none of its own for the processor.
            return 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

    def reset_peak_memory(self) -> None:
        """Count from now on, which Linux alone can do: proc_pid_clear_refs(5)."""
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


class Cpu(DeviceBackend[CpuOptions]):
    """The processor. Always there."""

    def is_available(self) -> Availability:
        """Say that it is, with the number of threads."""
        return Availability(available=True, reason=_describe_threads(self.options.threads))

    def create(self) -> Device:
        """Return the device. Sets the number of torch's threads if the options give one."""
        if self.options.threads is not None:
            torch.set_num_threads(self.options.threads)
        precision, why = choose_precision(self.options.precision)
        deterministic = self.options.deterministic
        reason = f"{_describe_threads(self.options.threads)}; {why}"
        reason += "; deterministic" if deterministic else ""
        return CpuDevice(precision, reason, deterministic=deterministic)


def choose_precision(wanted: Literal["auto", "float32", "bfloat16"]) -> tuple[Precision, str]:
    """Return the precision and why, in a few words.

    Follows from the processor's features, never from a measurement.

    Args:
        wanted: What the options say.
    """
    fast = fast_bfloat16()
    if wanted == "float32":
        return "float32", "float32 as asked"
    if wanted == "bfloat16":
        return "bfloat16", "bfloat16 as asked" + (
            f" ({fast})" if fast else ", slow here: the processor has no instructions for it"
        )
    if fast:
        return "bfloat16", f"bfloat16: the processor has {fast}"
    return "float32", "float32: the processor has no instructions for bfloat16"


def fast_bfloat16() -> str | None:
    """Return the name of the instructions that make bfloat16 fast here, or None."""
    features = torch.cpu.get_capabilities()
    return next((name for key, name in _FAST_BFLOAT16.items() if features.get(key)), None)


def _describe_threads(wanted: int | None) -> str:
    threads = torch.get_num_threads() if wanted is None else wanted
    return f"{threads} thread{'' if threads == 1 else 's'}"
