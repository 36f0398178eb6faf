"""A segment: rows in one file, with what is needed to find each of them and to see that it is whole.

The file is a safetensors file of three tensors. `checksums` has a crc32 for each row, `keys` its key,
and `rows` its bytes. The header says how the bytes make a row. The file's name is the sha256 of all but
the rows, and the rows are checked one by one when they are read.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from tlf.cache.files import Bytes, Descriptor, FilePool, write_whole
from tlf.cache.index import KEY_BYTES, ROW_BITS, KeyArray
from tlf.cache.layout import Layout

SCHEMA_VERSION = 1
SUFFIX = ".safetensors"

#: Bytes of a row besides its own: key and checksum.
ROW_OVERHEAD = KEY_BYTES + 4

#: No header of ours is longer.
_LONGEST_HEADER = 100_000

#: Rows that are checked at once, in bytes.
_CHECKED_AT_ONCE = 1 << 20

Checksums = npt.NDArray[np.uint32]


class DamagedError(Exception):
    """A file of the cache is not what was once written, for the reason that it gives."""


def checksums_of(rows: Bytes) -> Checksums:
    """Return a checksum for each row.

    Args:
        rows: A row a line.
    """
    return np.fromiter((zlib.crc32(row) for row in rows), np.uint32, len(rows))


def segment_size(layout: Layout, count: int) -> int:
    """Return how large a file of rows will be, or somewhat more.

    Args:
        layout: Of the rows.
        count: How many.
    """
    return 1024 + count * (layout.row_bytes + ROW_OVERHEAD)


class Segment:
    """Rows in a file that is there.

    Args:
        path: The file.
        layout: Of the rows.
        checksums: Of each row.
        rows_offset: Where in the file they begin.
    """

    def __init__(self, path: Path, layout: Layout, checksums: Checksums, rows_offset: int) -> None:
        self.path = path
        self.layout = layout
        self._checksums = checksums
        self._rows_offset = rows_offset

    def __len__(self) -> int:
        return len(self._checksums)

    @staticmethod
    def write(
        folder: Path, key: str, layout: Layout, keys: KeyArray, checksums: Checksums, rows: Bytes
    ) -> Segment:
        """Write rows into a file of their own.

        The format is simple enough to be written here: the library would first make two copies of
        all the rows.

        Args:
            folder: The entry's folder.
            key: The entry's key.
            layout: Of the rows.
            keys: The key of each row.
            checksums: Of each row.
            rows: A row a line.

        Raises:
            OSError: The file cannot be written; nothing of it is left.
        """
        key_bytes, checksum_bytes = _little(keys), _little(checksums)
        digest = _digest(key, layout, len(keys), checksum_bytes, key_bytes)
        header = json.dumps(_header(key, layout, len(keys), digest), separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
        path = folder / f"{digest}{SUFFIX}"
        parts = (len(header).to_bytes(8, "little"), header, checksum_bytes, key_bytes)
        write_whole(path, [*parts, np.ascontiguousarray(rows)])
        return Segment(path, layout, checksums, sum(map(len, parts)))

    @staticmethod
    def open(path: Path, key: str, pool: FilePool) -> tuple[Segment, KeyArray]:
        """Open a file, and return its keys too.

        Args:
            path: The file.
            key: The entry's key.
            pool: Of the open files.

        Raises:
            OSError: The file cannot be read.
            DamagedError: It is not what was written.
        """
        file = pool.take(path)
        layout, count, offset, digest = _read_header(file, key)
        checksums = _read(file, 4 * count, offset)
        keys = _read(file, KEY_BYTES * count, offset + 4 * count)
        found = _digest(key, layout, count, checksums, keys)
        if found != digest or path.name != f"{digest}{SUFFIX}":
            raise DamagedError("its index has changed")
        segment = Segment(
            path, layout, np.frombuffer(checksums, "<u4"), offset + count * ROW_OVERHEAD
        )
        return segment, np.frombuffer(keys, "<u8").reshape(count, -1)

    def read(self, file: Descriptor, rows: npt.NDArray[np.int64], into: Bytes) -> None:
        """Read rows and see that each is whole.

        Args:
            file: This segment's, open.
            rows: Their numbers, in order, so that neighbours are read together.
            into: Gets the rows, a row a line.

        Raises:
            OSError: They cannot be read.
            DamagedError: One of them is not what was written.
        """
        size, target = self.layout.row_bytes, into.reshape(-1).data
        ends = [*(np.flatnonzero(rows[1:] - rows[:-1] != 1) + 1).tolist(), len(rows)]
        begin = 0
        for end, first in zip(ends, rows[[0, *ends[:-1]]].tolist(), strict=True):
            part = target[begin * size : end * size]
            if file.read(part, self._rows_offset + first * size) < len(part):
                raise DamagedError("it is cut short")
            begin = end
        found = [zlib.crc32(target[at : at + size]) for at in range(0, len(target), size or 1)]
        if found != self._checksums[rows].tolist() and size:
            raise DamagedError("a row has changed")

    def check(self, file: Descriptor) -> None:
        """See that all rows are whole.

        Args:
            file: This segment's, open.

        Raises:
            OSError: They cannot be read.
            DamagedError: One of them is not what was written.
        """
        step = max(1, _CHECKED_AT_ONCE // max(1, self.layout.row_bytes))
        buffer = np.empty((min(step, len(self)), self.layout.row_bytes), np.uint8)
        for first in range(0, len(self), step):
            rows = np.arange(first, min(first + step, len(self)))
            self.read(file, rows, buffer[: len(rows)])


def count_rows(path: Path) -> int:
    """Return how many rows a file has, by its header only; 0 if that cannot be read.

    Args:
        path: The file.
    """
    try:
        return _read_header(Descriptor(path), path.parent.name)[1]
    except (OSError, DamagedError):
        return 0


def _header(key: str, layout: Layout, count: int, digest: str) -> dict[str, Any]:
    tensors = {
        "checksums": ("U32", [count], 4 * count),
        "keys": ("U8", [count, KEY_BYTES], KEY_BYTES * count),
        "rows": ("U8", [count, layout.row_bytes], layout.row_bytes * count),
    }
    header: dict[str, Any] = {
        "__metadata__": {
            "schema_version": str(SCHEMA_VERSION),
            "entry": key,
            **layout.as_metadata(),
            "sha256": digest,
        }
    }
    offset = 0
    for name, (dtype, shape, size) in tensors.items():
        offsets = [offset, offset + size]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        offset += size
    return header


def _digest(key: str, layout: Layout, count: int, checksums: bytes, keys: bytes) -> str:
    # Of everything but the rows, so that nothing in the header can change unseen.
    about = json.dumps(_header(key, layout, count, ""), sort_keys=True)
    digest = hashlib.sha256(about.encode())
    digest.update(checksums)
    digest.update(keys)
    return digest.hexdigest()


def _read_header(file: Descriptor, key: str) -> tuple[Layout, int, int, str]:
    """Return layout, number of rows, where the header ends, and the digest that it states."""
    length = int.from_bytes(_read(file, 8, 0), "little")
    if length > _LONGEST_HEADER:
        _raise_header()
    text = _read(file, length, 8)
    try:
        header = json.loads(text)
        count, row_bytes = header["rows"]["shape"]
        metadata = header["__metadata__"]
        layout, digest = Layout.from_metadata(metadata, row_bytes), metadata["sha256"]
        as_written = header == _header(key, layout, count, digest)
    except (ValueError, KeyError, TypeError, RecursionError):
        _raise_header()
    if not as_written or not all(type(number) is int for number in (count, row_bytes)):
        _raise_header()
    if not 0 < count < 1 << ROW_BITS or row_bytes < 0:
        _raise_header()
    expected = 8 + length + count * (ROW_OVERHEAD + row_bytes)
    if file.size != expected:
        raise DamagedError(f"it has {file.size} bytes, not {expected}")
    return layout, count, 8 + length, digest


def _raise_header() -> NoReturn:
    raise DamagedError("its header is unreadable")


def _read(file: Descriptor, size: int, offset: int) -> bytes:
    found = bytearray(size)
    if file.read(memoryview(found), offset) < size:
        raise DamagedError("it is cut short")
    return bytes(found)


def _little(values: npt.NDArray[Any]) -> bytes:
    return values.astype(values.dtype.newbyteorder("<")).tobytes()
