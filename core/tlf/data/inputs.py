"""The last step before the network: numbers that its weights were trained to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from tlf.plugin import Device


def to_input(
    images: torch.Tensor, mean: Sequence[float], std: Sequence[float], device: Device
) -> torch.Tensor:
    """Return images as the network's input: float32 `(N, 3, S, S)` on the device, normalised.

    Args:
        images: Uint8 `(N, 3, S, S)`.
        mean: Per channel, subtracted from values in [0, 1].
        std: Per channel, the divisor after that.
        device: Where the network is; it decides the memory format.
    """
    # Bytes travel, and floats are made there: a quarter of the traffic.
    inputs = to_device(images, device).to(torch.float32)
    # (x / 255 - mean) / std with the 255 taken into the six constants: two passes, not three.
    scale = to_device(torch.tensor([255.0 * value for value in std]), device)
    offset = to_device(torch.tensor([255.0 * value for value in mean]), device)
    inputs.sub_(offset.view(3, 1, 1)).div_(scale.view(3, 1, 1))
    # Last: constants that change with the innermost dimension make every pass before it slower.
    return inputs.contiguous(memory_format=torch.channels_last) if device.channels_last else inputs


def to_device(tensor: torch.Tensor, device: Device) -> torch.Tensor:
    """Return a tensor on the device. From pinned memory, the processor does not wait for the copy.

    Args:
        tensor: On the CPU.
        device: Where to.
    """
    if not device.pin_memory:
        return tensor.to(device.torch_device)
    # torch keeps the pinned memory until the copy is done, and then for the next one.
    return tensor.pin_memory().to(device.torch_device, non_blocking=True)
