"""Creating a network on the meta device, where tensors have shapes and no numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

_patching = threading.Lock()


def is_meta_the_default() -> bool:
    """Say whether new tensors go to the meta device here."""
    return torch.empty(0).device.type == "meta"


def create_on_meta(create: Callable[[], nn.Module]) -> nn.Module:
    """Return a network on the meta device.

    Some networks compute with small tensors while they are created (the widths of their layers, say),
    which needs numbers. They are created on the CPU, but every parameter goes to the meta device
    before it is filled, so that this costs no time and no memory either.

    Args:
        create: Creates the network on the default device.
    """
    try:
        with torch.device("meta"):
            return create()
    except (RuntimeError, NotImplementedError):
        with torch.device("cpu"), _parameters_on_meta():
            return create().to("meta")


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    original = nn.Module.register_parameter

    def register(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None:
            param = nn.Parameter(param.detach().to("meta"), param.requires_grad)
        original(self, name, param)

    with _patching:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
        try:
            yield
        finally:
            nn.Module.register_parameter = original  # type: ignore[method-assign]
