"""A GPU that CUDA can use, as a device."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import torch

from tlf.plugin import Availability, Device, DeviceBackend, Precision
from tlf_builtin.cuda.options import CudaOptions

#: From this compute capability on, a GPU multiplies bfloat16 matrices by itself.
NATIVE_BFLOAT16 = (8, 0)


class CudaDevice(Device):
    """A GPU, ready to run networks.

    Args:
        index: Which one.
        precision: What networks are computed in.
        reason: Why.
        deterministic: Whether a run may use deterministic operations only.
    """

    def __init__(
        self, index: int, precision: Precision, reason: str, *, deterministic: bool = False
    ) -> None:
        self.torch_device = torch.device("cuda", index)
        self.deterministic = deterministic
        self.precision = precision
        self.channels_last = True
        # Large enough to fill a GPU, small enough that the activations of a chunk are a small part
        # of its memory, whatever the network.
        self.chunk_size = 64
        self.pin_memory = True
        self.reason = reason

    def autocast(self) -> torch.autocast:
        """Return a context in which forward passes run in `precision`."""
        half = torch.float16 if self.precision == "float16" else torch.bfloat16
        return torch.autocast("cuda", dtype=half, enabled=self.precision != "float32")

    def synchronize(self) -> None:
        """Wait until all work given to the GPU is done."""
        torch.cuda.synchronize(self.torch_device)

    def peak_memory_bytes(self) -> int:
        """Return the most memory that this process's tensors have held on the GPU so far."""
        return torch.cuda.max_memory_allocated(self.torch_device)

    def reset_peak_memory(self) -> None:
        """Count from now on."""
        torch.cuda.reset_peak_memory_stats(self.torch_device)


@dataclass(frozen=True)
class Gpu:
    """What a GPU says of itself.

    Attributes:
        name: The maker's name for it.
        memory_bytes: All that it has.
        capability: CUDA's number for its features: 8.0 is Ampere, 9.0 Hopper.
    """

    name: str
    memory_bytes: int
    capability: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name}, {self.memory_bytes / 2**30:.1f} GiB"


class Cuda(DeviceBackend[CudaOptions]):
    """A GPU that CUDA can use."""

    def is_available(self) -> Availability:
        """Say which GPU it is, or why there is none."""
        # What CUDA only warns of is often the reason: a driver that is too old, say.
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                missing = _what_is_missing(self.options.index)
                if missing is None:
                    return Availability(available=True, reason=str(try_gpu(self.options.index)))
            except Exception as error:  # noqa: BLE001 - a driver can fail in any way
                missing = f"GPU {self.options.index} does not work: {_first_line(error)}"
        reasons = dict.fromkeys([missing, *(_first_line(warning.message) for warning in warned)])
        return Availability(available=False, reason="; ".join(reasons))

    def create(self) -> Device:
        """Return the device. In float32, turns TF32 off for all convolutions of this process."""
        gpu = look_at_gpu(self.options.index)
        precision, why = choose_precision(self.options.precision, gpu.capability)
        if precision == "float32":
            # Else cuDNN rounds what it multiplies to the 11 significant bits of TF32.
            torch.backends.cudnn.allow_tf32 = False
        deterministic = self.options.deterministic
        reason = f"{gpu}; {why}{'; deterministic' if deterministic else ''}"
        return CudaDevice(self.options.index, precision, reason, deterministic=deterministic)


def choose_precision(
    wanted: Literal["auto", "float32", "bfloat16", "float16"], capability: tuple[int, int]
) -> tuple[Precision, str]:
    """Return the precision and why, in a few words.

    Follows from the GPU's features, never from a measurement.

    Args:
        wanted: What the options say.
        capability: Compute capability of the GPU.
    """
    native = capability >= NATIVE_BFLOAT16
    mine, needed = _dotted(capability), _dotted(NATIVE_BFLOAT16)
    if wanted == "auto":
        if native:
            return "bfloat16", f"bfloat16: the GPU has compute capability {mine}"
        return "float16", f"float16: bfloat16 needs compute capability {needed}, the GPU has {mine}"
    if wanted == "bfloat16" and not native:
        why = f"it needs compute capability {needed}, the GPU has {mine}"
        return wanted, f"bfloat16 as asked, slow here: {why}"
    return wanted, f"{wanted} as asked"


def look_at_gpu(index: int) -> Gpu:
    """Return what a GPU says of itself. Initialises CUDA.

    Args:
        index: Of a GPU that is there.
    """
    properties = torch.cuda.get_device_properties(index)
    return Gpu(properties.name, properties.total_memory, (properties.major, properties.minor))


def try_gpu(index: int) -> Gpu:
    """Return what a GPU says of itself, after it has computed something.

    Only so is it known to work: it may be too old for this build of torch, or be another process's
    alone.

    Args:
        index: Of a GPU that is there.
    """
    gpu = look_at_gpu(index)
    torch.ones(1, device=torch.device("cuda", index)).add(1).item()
    return gpu


def _what_is_missing(index: int) -> str | None:
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return "torch was built without CUDA"
    if not torch.cuda.is_available():
        return "CUDA finds no GPU"
    count = torch.cuda.device_count()
    if index >= count:
        return f"there is no GPU {index}, the last one is {count - 1}"
    return None


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def _first_line(message: object) -> str:
    lines = str(message).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(message).__name__
