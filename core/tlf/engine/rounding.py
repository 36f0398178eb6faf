"""Elementwise functions that round a number in one way, wherever in a tensor it lies.

On a processor, torch computes exponentials and the like in full vectors, and the numbers that are left
over in another way, which may differ in the last bit. Threads share a large tensor, and each of them
leaves something over. So what an image's neighbours are would decide how it is rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lcm
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: Numbers that are computed together: two of the widest vectors, 512 bits of 16-bit numbers each.
VECTORS = 64

#: Torch gives a thread at least as many numbers of a tensor (`at::internal::GRAIN_SIZE`). A few
#: functions have a limit of their own, above which all threads get an equal share.
GRAIN = 32768

_ATEN = torch.ops.aten

#: Elementwise, but of operations only whose result the IEEE 754 standard says to the last bit.
_EXACT = {
    getattr(_ATEN, name)
    for name in (
        *("relu", "relu_", "clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_"),
        *("hardtanh", "hardtanh_", "hardswish", "hardswish_", "hardsigmoid", "hardsigmoid_"),
        *("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_"),
        *("neg", "neg_", "abs", "abs_", "leaky_relu", "leaky_relu_", "sqrt", "sqrt_", "_to_copy"),
        *("clone", "copy_", "eq", "ne", "lt", "gt", "le", "ge", "fill_", "zero_"),
    )
}


class EvenRounding(TorchDispatchMode):
    """Inside it, an elementwise function of one tensor leaves no numbers over.

    Where it would, it works on a copy that is filled up.

    Attributes:
        copies: How many times it did.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.copies = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        given = kwargs or {}
        if not _rounds(func, args):
            return func(*args, **given)
        tensor = args[0]
        if tensor.device.type != "cpu" or _is_even(tensor):
            return func(*args, **given)
        self.copies += 1
        result = tensor if func._schema.is_mutable else torch.empty_like(tensor)
        return _filled_up(lambda flat: func(flat, *args[1:], **given), tensor, result)


def filled_up_length(numbers: int, threads: int) -> int:
    """Return the least length, from some numbers on, that threads share without leaving anything over.

    Args:
        numbers: How many there are, at least 1.
        threads: How many threads torch has.
    """
    while True:
        whole = VECTORS * lcm(min(threads, -(-numbers // GRAIN)), threads)
        length = -(-numbers // whole) * whole
        if length == numbers:
            return length
        numbers = length


def _rounds(func: Any, args: tuple[Any, ...]) -> bool:  # noqa: ANN401
    return (
        torch.Tag.pointwise in func.tags
        and func.overloadpacket not in _EXACT
        and sum(isinstance(one, torch.Tensor) for one in args) == 1
        and isinstance(args[0], torch.Tensor)
        and args[0].is_floating_point()
        and args[0].numel() > 0
    )


def _is_even(tensor: torch.Tensor) -> bool:
    numbers = tensor.numel()
    return (
        numbers == filled_up_length(numbers, torch.get_num_threads())
        # As many as that, and nothing between them.
        and torch.empty_like(tensor).stride() == tensor.stride()
    )


def _filled_up(
    function: Callable[[torch.Tensor], torch.Tensor], tensor: torch.Tensor, result: torch.Tensor
) -> torch.Tensor:
    numbers = tensor.numel()
    flat = tensor.new_zeros(filled_up_length(numbers, torch.get_num_threads()))
    flat[:numbers].view(tensor.shape).copy_(tensor)
    return result.copy_(function(flat)[:numbers].view(tensor.shape))
