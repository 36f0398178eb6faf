"""Which keys are stored, and where: sorted arrays, so that a million of them are found at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

#: Keys are digests.
KEY_BYTES = 32

#: Keys as callers have them: one by one, or as an array of bytes, a key a line.
Keys: TypeAlias = Sequence[bytes] | npt.NDArray[np.uint8]

#: Keys as four numbers each, a key a line.
KeyArray: TypeAlias = npt.NDArray[np.uint64]

#: Where rows are: the number of their segment, and their number in it, as one number.
Places: TypeAlias = npt.NDArray[np.int64]

#: The lower bits of a place are the row's number, the others the segment's.
ROW_BITS = 32

_WORDS = KEY_BYTES // 8

# Odd, and otherwise of no meaning.
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93], np.uint64
)

_HALF = np.uint64(32)


def key_array(keys: Keys) -> KeyArray:
    """Return keys as an array.

    Args:
        keys: The keys.

    Raises:
        ValueError: One has another length than keys have.
    """
    if isinstance(keys, np.ndarray):
        if keys.dtype != np.uint8 or keys.ndim != 2 or keys.shape[1] != KEY_BYTES:
            raise ValueError(f"an array of keys has {KEY_BYTES} bytes a line")
        return np.ascontiguousarray(keys).view("<u8")
    if not set(map(len, keys)) <= {KEY_BYTES}:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return np.frombuffer(b"".join(keys), "<u8").reshape(-1, _WORDS)


def hashes(keys: KeyArray) -> npt.NDArray[np.uint64]:
    """Return a number for each key, of which equal ones are rare, however the keys were made.

    Numbers are sorted and found many times faster than strings of bytes.

    Args:
        keys: The keys.
    """
    # Products lose what is beyond 64 bits, so upper bits must first have their say in the lower ones.
    found: npt.NDArray[np.uint64] = (keys ^ (keys >> _HALF)) @ _FACTORS
    return found


def numbered(segment: int, rows: int) -> Places:
    """Return the places of the rows of a segment.

    Args:
        segment: Its number.
        rows: How many it has.
    """
    return np.arange(rows, dtype=np.int64) + (segment << ROW_BITS)


class Index:
    """Keys with their places. It never changes: adding to it makes another, so that no reader waits.

    A key may be there more than once, when two processes have stored it at the same time.

    Args:
        keys: In the order of their hashes.
        places: Where the row of each key is.
        sorted_hashes: The hashes.
    """

    def __init__(
        self,
        keys: KeyArray | None = None,
        places: Places | None = None,
        sorted_hashes: npt.NDArray[np.uint64] | None = None,
    ) -> None:
        self._keys = np.empty((0, _WORDS), np.uint64) if keys is None else keys
        self._places = np.empty(0, np.int64) if places is None else places
        self._hashes = np.empty(0, np.uint64) if sorted_hashes is None else sorted_hashes

    def __len__(self) -> int:
        return len(self._places)

    def find(self, keys: KeyArray) -> Places:
        """Return the place of each key's row, or -1 for what is not stored.

        Args:
            keys: The keys.
        """
        if not len(self):
            return np.full(len(keys), -1, np.int64)
        wanted = hashes(keys)
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self) - 1)
        found = self._places[at]
        different = self._keys[at] != keys
        if not different.any():
            return found
        other = np.flatnonzero(different.any(axis=1))
        found[other] = -1
        # No round, but for keys that share their hash with another.
        while len(other):
            other = other[self._hashes[at[other]] == wanted[other]]
            at[other] += 1
            other = other[at[other] < len(self)]
            same = (self._keys[at[other]] == keys[other]).all(axis=1)
            found[other[same]] = self._places[at[other[same]]]
            other = other[~same]
        return found

    def with_rows(self, keys: KeyArray, places: Places) -> Index:
        """Return an index with more rows.

        Args:
            keys: Their keys, in any order.
            places: Where each is.
        """
        new = hashes(keys)
        order = np.argsort(new, kind="stable")
        new, keys, places = new[order], keys[order], places[order]
        if not len(self):
            return Index(keys, places, new)
        at = np.searchsorted(self._hashes, new, side="right")
        return Index(
            np.insert(self._keys, at, keys, axis=0),
            np.insert(self._places, at, places),
            np.insert(self._hashes, at, new),
        )

    def without(self, segment: int) -> Index:
        """Return an index without the rows of a segment.

        Args:
            segment: Its number.
        """
        kept = self._places >> ROW_BITS != segment
        return Index(self._keys[kept], self._places[kept], self._hashes[kept])
