"""Rows that wait to be written together."""

from __future__ import annotations

import numpy as np

from tlf.cache.files import Bytes
from tlf.cache.index import Index, KeyArray, numbered
from tlf.cache.layout import Layout
from tlf.cache.segment import ROW_OVERHEAD, checksums_of

#: Rows are written when so many bytes of them have come together.
SEGMENT_BYTES = 32 << 20

#: Or so many rows, however small they are: each addition sorts their keys anew.
SEGMENT_ROWS = 1 << 16

#: Its number among the segments.
BUFFER_NUMBER = 0


class Buffer:
    """Rows in memory. It only ever fills: who reads from it while it is written needs no lock.

    Args:
        layout: Of the rows.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.capacity = max(
            1, min(SEGMENT_ROWS, SEGMENT_BYTES // (layout.row_bytes + ROW_OVERHEAD))
        )
        self.index = Index()
        self._count = 0
        # Memory is taken only when it is written to.
        self._keys = np.empty((self.capacity, 4), np.uint64)
        self._checksums = np.empty(self.capacity, np.uint32)
        self._rows = np.empty((self.capacity, layout.row_bytes), np.uint8)

    def __len__(self) -> int:
        return self._count

    @property
    def room(self) -> int:
        """How many more rows it takes."""
        return self.capacity - self._count

    @property
    def keys(self) -> KeyArray:
        """The keys of its rows."""
        return self._keys[: self._count]

    @property
    def checksums(self) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
        """The checksums of its rows."""
        return self._checksums[: self._count]

    @property
    def rows(self) -> Bytes:
        """Its rows, a row a line."""
        return self._rows[: self._count]

    def add(self, keys: KeyArray, rows: Bytes) -> None:
        """Copy rows.

        Args:
            keys: The key of each.
            rows: A row a line, no more than there is room for.
        """
        first, end = self._count, self._count + len(keys)
        self._keys[first:end] = keys
        self._rows[first:end] = rows
        self._checksums[first:end] = checksums_of(self._rows[first:end])
        self.index = self.index.with_rows(keys, numbered(BUFFER_NUMBER, end)[first:])
        self._count = end
