"""Deterministic operations: asked of torch for as long as a run takes, and put back behind it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from tlf.errors import RunError, UsageError

if TYPE_CHECKING:
    from tlf.plugin import Device

#: Says how much memory cuBLAS works in: of these sizes, its products are the same each time.
CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
CUBLAS_SIZES = ":4096:8"

#: How torch says of an operation that it has no deterministic implementation.
_NOT_DETERMINISTIC = re.compile(r"^(\S+) does not have a deterministic implementation")


@contextmanager
def deterministic_operations(device: Device) -> Iterator[None]:
    """Hold torch to deterministic operations in the block, if the device asks for it.

    What torch and the environment are set to is as it was afterwards, whatever happens in the block.

    Args:
        device: Where the run computes.

    Raises:
        RunError: The block uses an operation that has no deterministic implementation.
        UsageError: cuBLAS has begun in this process, and cannot be made deterministic any more.
    """
    if not device.deterministic:
        yield
        return
    with _put_back(), operations_explained(lambda: "the run"):
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        if device.torch_device.type == "cuda":
            _require_cublas(device.torch_device)
        yield


@contextmanager
def operations_explained(where: Callable[[], str]) -> Iterator[None]:
    """Turn torch's refusal of an operation into an error that names it, and what needed it.

    Args:
        where: Returns what is done in the block: `step `all``, say.

    Raises:
        RunError: An operation has no deterministic implementation.
    """
    try:
        yield
    except RuntimeError as error:
        found = _NOT_DETERMINISTIC.match(str(error))
        if found is None:
            raise
        raise RunError(
            f"{where()} uses the operation `{found[1]}`, which has no deterministic implementation "
            "on this device",
            hint="leave out `device.options.deterministic`, or take a network or a plugin that does "
            "without it",
        ) from error


@contextmanager
def strictness_kept() -> Iterator[None]:
    """Leave how strict torch is about deterministic operations as it was before the block."""
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)


@contextmanager
def _put_back() -> Iterator[None]:
    """Leave what torch and cuBLAS are set to as it was before the block."""
    cudnn = torch.backends.cudnn
    benchmark, deterministic = cudnn.benchmark, cudnn.deterministic
    cublas = os.environ.get(CUBLAS)
    try:
        with strictness_kept():
            yield
    finally:
        cudnn.benchmark, cudnn.deterministic = benchmark, deterministic
        if cublas is None:
            os.environ.pop(CUBLAS, None)
        else:
            os.environ[CUBLAS] = cublas


def _require_cublas(device: torch.device) -> None:
    """Make cuBLAS deterministic, and see that it is: it reads its settings once in a process."""
    size = os.environ.setdefault(CUBLAS, CUBLAS_SIZES)
    square = torch.ones(2, 2, device=device)
    try:
        torch.mm(square, square)
    except RuntimeError as error:
        if CUBLAS not in str(error):
            raise
        raise UsageError(
            f"`{device}` cannot be deterministic in this process: cuBLAS has begun in it already, "
            f"or `{CUBLAS}` has no such effect as `{size}`",
            hint=f"set the environment variable `{CUBLAS}={CUBLAS_SIZES}` before the process starts",
        ) from error
