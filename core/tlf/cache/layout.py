"""How the numbers of a row lie in memory, and how rows become bytes and tensors again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlf.cache.files import Bytes

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Layout:
    """What all rows of an entry have in common.

    The strides are kept as they are, not as the name of an order: libraries choose their code by
    them, even where a dimension has one element and they make no other difference.

    Attributes:
        dtype: The name that torch gives it: `bfloat16`.
        shape: Of one row.
        strides: Of one row, in elements.
        row_bytes: Size of one row.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    row_bytes: int

    @staticmethod
    def of(rows: torch.Tensor) -> Layout:
        """Return the layout of rows: their own if it has no gaps, or else the plain order.

        Args:
            rows: At least one dimension, the first of which counts the rows.
        """
        shape, strides = tuple(rows.shape[1:]), tuple(rows.stride()[1:])
        return Layout(
            dtype=str(rows.dtype).removeprefix("torch."),
            shape=shape,
            strides=strides if _is_dense(shape, strides) else _plain(shape),
            row_bytes=math.prod(shape) * rows.element_size(),
        )

    @property
    def elements(self) -> int:
        """Numbers in a row."""
        return math.prod(self.shape)

    def holds_the_same(self, other: Layout) -> bool:
        """Say whether rows can be put into another layout as they are, in another order at most.

        Args:
            other: The other layout.
        """
        return (self.dtype, self.shape) == (other.dtype, other.shape)

    def in_words(self) -> str:
        """Return type and shape: `bfloat16 96×7×7`."""
        return f"{self.dtype} {'×'.join(map(str, self.shape)) or 'numbers'}"

    def to_bytes(self, rows: torch.Tensor) -> Bytes:
        """Return rows as bytes in this order, a row a line. They may share memory with the rows.

        Args:
            rows: Rows of this type and shape, in any order, on the CPU.
        """
        import torch

        rows = rows.detach()
        if tuple(rows.stride()[1:]) != self.strides:
            size, strides = (len(rows), *self.shape), (self.elements, *self.strides)
            rows = torch.empty_strided(size, strides, dtype=rows.dtype).copy_(rows)
        flat = rows.as_strided((len(rows), self.elements), (rows.stride(0), 1)).contiguous()
        # Numpy has no bfloat16, but bytes it has.
        found: Bytes = flat.view(torch.uint8).numpy()
        return found

    def to_tensor(self, rows: torch.Tensor) -> torch.Tensor:
        """Return bytes as the rows that they are, in the same memory.

        Args:
            rows: Bytes, a row a line.
        """
        import torch

        dtype = getattr(torch, self.dtype)
        size, strides = (len(rows), *self.shape), (self.elements, *self.strides)
        return rows.reshape(-1).view(dtype).as_strided(size, strides)

    def as_metadata(self) -> dict[str, str]:
        """Return what goes into a file's header, where all is text."""
        return {
            "dtype": self.dtype,
            "shape": json.dumps(self.shape),
            "strides": json.dumps(self.strides),
        }

    @staticmethod
    def from_metadata(metadata: Mapping[str, str], row_bytes: int) -> Layout:
        """Return the layout that a file's header speaks of.

        Args:
            metadata: What is in the header.
            row_bytes: Size of one row.

        Raises:
            ValueError: It is no layout. So do KeyError and TypeError.
        """
        return Layout(
            dtype=metadata["dtype"],
            shape=tuple(json.loads(metadata["shape"])),
            strides=tuple(json.loads(metadata["strides"])),
            row_bytes=row_bytes,
        )


def _is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Say whether each number has its place and no place is empty."""
    expected = 1
    dimensions = [(stride, size) for size, stride in zip(shape, strides, strict=True) if size != 1]
    for stride, size in sorted(dimensions):
        if stride != expected:
            return False
        expected *= size
    return True


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[index + 1 :]) for index in range(len(shape)))
