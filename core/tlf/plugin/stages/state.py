"""Putting tensors into a network, from files that hold nothing but tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import nn


def load_state(module: nn.Module, tensors: Mapping[str, torch.Tensor], *, strict: bool) -> None:
    """Put tensors into a network, as its present version would have saved them.

    `state_dict` also holds the version of each module, which files of plain tensors do not, and a
    module may refuse a state without one.

    Args:
        module: Gets the tensors, in place.
        tensors: By name.
        strict: Whether all of them must be there, and no others.

    Raises:
        RuntimeError: Names or shapes differ.
    """
    state = OrderedDict(tensors)
    state._metadata = getattr(module.state_dict(), "_metadata", {})  # type: ignore[attr-defined]
    module.load_state_dict(state, strict=strict)
