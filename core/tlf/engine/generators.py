"""The global random generators that a run draws from: the CPU's, and its device's if that has one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch


def forked_generators(device: torch.device) -> AbstractContextManager[None]:
    """Return a context after which the generators are as they were.

    Those of other devices are left alone: only to ask for their states would start them.

    Args:
        device: Where the run computes.
    """
    if device.type == "cpu":
        return torch.random.fork_rng(devices=[])
    return torch.random.fork_rng(devices=[device], device_type=device.type)


@contextmanager
def all_generators_kept(device: torch.device) -> Iterator[None]:
    """Leave the generators as they were before the block: torch's, Python's own, and numpy's.

    Nothing of tlf draws from the last two, but a plugin may.

    Args:
        device: Where the run computes.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with forked_generators(device):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def generator_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of the generators, by kind of device; the CPU's is called `torch`.

    Args:
        device: Where the run computes.
    """
    states = {"torch": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_generator_states(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Take over what `generator_states` returned.

    Args:
        states: By kind of device. A run that goes on on another kind has no state for it.
        device: Where the run computes.
    """
    torch.set_rng_state(states["torch"])
    if device.type in states:
        torch.get_device_module(device).set_rng_state(states[device.type], device)
