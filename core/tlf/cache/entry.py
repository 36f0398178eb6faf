"""An entry: all rows that were made in one way."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tlf.cache.buffer import BUFFER_NUMBER, Buffer
from tlf.cache.files import Bytes, FilePool
from tlf.cache.folders import (
    description_text,
    entry_folder,
    key_of,
    plain,
    read_description,
    reason_of,
    remove_entry,
    segment_paths,
    touch,
    write_description,
)
from tlf.cache.index import ROW_BITS, Index, KeyArray, Keys, Places, hashes, key_array, numbered
from tlf.cache.layout import Layout
from tlf.cache.room import Room, Warn
from tlf.cache.segment import DamagedError, Segment, segment_size

if TYPE_CHECKING:
    import torch

#: An entry is marked as used no more often than this.
_TOUCH_SECONDS = 60.0

#: Another process may remove the folder while it is written to; that often in a row it will not.
_ATTEMPTS = 3

_ROW_MASK = (1 << ROW_BITS) - 1


class Entry:
    """Rows by their keys, on disk and on their way there.

    Two threads may read, and one may add, at the same time.

    Args:
        folder: The cache's folder.
        description: What made the rows: plain data. Its `what` is what people are told.
        room: Of the cache.
        pool: Of the cache's open files.
        warn: Told what is damaged, once.

    Attributes:
        key: What the entry's folder is called.
        description: What made the rows.
        folder: The entry's folder, which is there only when something was stored.
    """

    def __init__(
        self, folder: Path, description: Mapping[str, Any], room: Room, pool: FilePool, warn: Warn
    ) -> None:
        self.description = plain(description)
        self.key = key_of(self.description)
        self.folder = entry_folder(folder, self.key)
        self._room, self._pool, self._warn = room, pool, warn
        self._lock = threading.RLock()
        self._warned = False
        self._next_touch = 0.0
        self._layout: Layout | None = None
        self._segments: dict[int, Segment] = {}
        self._last_number = BUFFER_NUMBER
        self._passed_over: set[str] = set()
        self._index = Index()
        self._buffer: Buffer | None = None
        self._check_description()
        self.look_again()
        self._touch()

    def __len__(self) -> int:
        with self._lock:
            return len(self._index) + (0 if self._buffer is None else len(self._buffer))

    def find(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Say of each key whether its row is stored. The rows themselves are not looked at.

        Args:
            keys: The keys.
        """
        with self._lock:
            return self._places(key_array(keys)) >= 0

    def read(self, keys: Keys) -> tuple[npt.NDArray[np.bool_], torch.Tensor | None]:
        """Read rows, each of which is seen to be whole.

        Args:
            keys: The keys.

        Returns:
            Of each key whether its row was found, and the rows that were, in the order of the keys;
            None instead of no rows.
        """
        wanted = key_array(keys)
        self._touch()
        # Each time round, there is one segment less to lose.
        while True:
            with self._lock:
                places, layout, buffer = self._places(wanted), self._layout, self._buffer
            found = places >= 0
            if layout is None or not found.any():
                return found, None
            rows = self._gather(places[found], layout, buffer)
            if rows is not None:
                return found, layout.to_tensor(rows)

    def add(self, keys: Keys, rows: torch.Tensor) -> None:
        """Store rows. They are copied at once, and written when enough have come together.

        Those whose key is stored already are passed over.

        Args:
            keys: The key of each row.
            rows: The rows, on the CPU, in any order in memory. The first ones that an entry gets say
                in which order all of them are stored.

        Raises:
            ValueError: The rows are of another number, type or shape than they have to be.
        """
        wanted = key_array(keys)
        if rows.dim() == 0 or len(rows) != len(wanted):
            raise ValueError(f"{len(wanted)} keys for rows of shape {tuple(rows.shape)}")
        with self._lock:
            if not self._room.writable or not len(wanted):
                return
            layout = self._agree_on(Layout.of(rows))
            new = np.flatnonzero(self._places(wanted) < 0)
            # Two keys with one hash are as good as never there, and one of them is then not stored.
            new = new[np.sort(np.unique(hashes(wanted[new]), return_index=True)[1])]
            if len(new):
                self._take(wanted, layout.to_bytes(rows), new)

    def flush(self) -> None:
        """Write what has not been written yet."""
        with self._lock:
            buffer, self._buffer = self._buffer, None
            if buffer is None or not len(buffer) or not self._room.writable:
                return
            self.look_again()
            if self._layout is not None and buffer.layout != self._layout:
                # Another process was faster, and its rows are stored in another order.
                return
            kept = np.flatnonzero(self._index.find(buffer.keys) < 0)
            if not len(kept):
                return
            needed = segment_size(buffer.layout, len(kept)) + len(
                description_text(self.description)
            )
            if self._room.make(needed):
                self._write(buffer, kept)

    def look_again(self) -> None:
        """Take notice of what other processes have stored or removed."""
        with self._lock:
            paths = {path.name: path for path in segment_paths(self.folder)}
            known = {segment.path.name: number for number, segment in self._segments.items()}
            for name in known.keys() - paths.keys():
                self._forget(known[name])
            opened = []
            for name in sorted(paths.keys() - known.keys() - self._passed_over):
                found = self._open(paths[name])
                if found is not None:
                    opened.append(found)
            if opened:
                self._index = self._index.with_rows(
                    np.concatenate([keys for keys, _ in opened]),
                    np.concatenate([places for _, places in opened]),
                )

    def _places(self, wanted: KeyArray) -> Places:
        places = self._index.find(wanted)
        if self._buffer is not None and len(self._buffer):
            missing = np.flatnonzero(places < 0)
            places[missing] = self._buffer.index.find(wanted[missing])
        return places

    def _gather(self, places: Places, layout: Layout, buffer: Buffer | None) -> torch.Tensor | None:
        """Return the bytes of rows, a row a line; None if a segment was lost on the way."""
        import torch

        order = None
        if (places[1:] < places[:-1]).any():
            order = np.argsort(places, kind="stable")
            places = places[order]
        found = torch.empty((len(places), layout.row_bytes), dtype=torch.uint8)
        into, numbers, rows = found.numpy(), places >> ROW_BITS, places & _ROW_MASK
        ends = [*(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), len(places)]
        begin = 0
        for end in ends:
            number = int(numbers[begin])
            if number == BUFFER_NUMBER:
                assert buffer is not None
                into[begin:end] = buffer.rows[rows[begin:end]]
            elif not self._read_from(number, rows[begin:end], into[begin:end]):
                return None
            begin = end
        if order is None:
            return found
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return found[torch.from_numpy(back)]

    def _read_from(self, number: int, rows: npt.NDArray[np.int64], into: Bytes) -> bool:
        """Read rows of a segment, and say whether that was possible; if not, it is lost."""
        segment = self._segments.get(number)
        if segment is None:
            # Another thread has lost it.
            return False
        try:
            segment.read(self._pool.take(segment.path), rows, into)
        except (DamagedError, OSError) as error:
            with self._lock:
                if number in self._segments:
                    self._forget(number)
                    self._put_aside(segment.path, error)
            return False
        return True

    def _agree_on(self, layout: Layout) -> Layout:
        """Return the layout in which rows of a layout are stored here."""
        if self._layout is None:
            self._layout = layout
        if not self._layout.holds_the_same(layout):
            raise ValueError(
                f"the rows of `{self._what}` are {self._layout.in_words()}, "
                f"these are {layout.in_words()}"
            )
        return self._layout

    def _take(self, keys: KeyArray, rows: Bytes, new: npt.NDArray[np.intp]) -> None:
        """Copy some of the rows into the buffer, and write it as often as it is full."""
        while len(new) and self._room.writable and self._layout is not None:
            if self._buffer is None:
                self._buffer = Buffer(self._layout)
            now, new = new[: self._buffer.room], new[self._buffer.room :]
            self._buffer.add(keys[now], rows[now])
            if not self._buffer.room:
                layout = self._layout
                self.flush()
                if layout != self._layout:
                    return
                # Another process may have stored some of the others meanwhile.
                new = new[self._index.find(keys[new]) < 0]

    def _write(self, buffer: Buffer, kept: npt.NDArray[np.intp]) -> None:
        whole = len(kept) == len(buffer)
        keys = buffer.keys if whole else buffer.keys[kept]
        checksums = buffer.checksums if whole else buffer.checksums[kept]
        rows = buffer.rows if whole else buffer.rows[kept]
        for attempt in range(_ATTEMPTS):
            try:
                write_description(self.folder, self.description)
                segment = Segment.write(
                    self.folder, self.key, buffer.layout, keys, checksums.copy(), rows
                )
            except OSError as error:
                if isinstance(error, FileNotFoundError) and attempt < _ATTEMPTS - 1:
                    continue
                self._room.give_up(error)
                return
            break
        self._passed_over.discard(segment.path.name)
        places = numbered(self._number(segment), len(segment))
        self._index = self._index.with_rows(keys, places)

    def _open(self, path: Path) -> tuple[KeyArray, Places] | None:
        """Open a segment; return its keys and places, or None if it cannot be used."""
        try:
            segment, keys = Segment.open(path, self.key, self._pool)
        except (DamagedError, OSError) as error:
            self._put_aside(path, error)
            return None
        if segment.layout != self._layout and (self._segments or self._buffer is not None):
            # Two processes have begun the entry at the same moment, each in its own order.
            self._passed_over.add(path.name)
            return None
        self._layout = segment.layout
        return keys, numbered(self._number(segment), len(segment))

    def _number(self, segment: Segment) -> int:
        self._last_number += 1
        self._segments[self._last_number] = segment
        return self._last_number

    def _forget(self, number: int) -> None:
        self._pool.drop(self._segments.pop(number).path)
        self._index = self._index.without(number)

    def _put_aside(self, path: Path, error: DamagedError | OSError) -> None:
        """Go on without a segment. A damaged one is removed, so that its rows are stored again."""
        self._pool.drop(path)
        if isinstance(error, FileNotFoundError):
            # Another process has removed it.
            return
        removed = False
        if isinstance(error, DamagedError):
            with suppress(OSError):
                path.unlink(missing_ok=True)
                removed = True
        if not removed:
            self._passed_over.add(path.name)
        self._say_damaged(reason_of(error))

    def _say_damaged(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(
                f"the cache's rows of `{self._what}` are damaged: {reason}; they are computed again"
            )

    def _check_description(self) -> None:
        """See that the folder is that of this entry. Without its description, it is nobody's."""
        try:
            read_description(self.folder)
        except DamagedError as error:
            remove_entry(self.folder)
            self._say_damaged(reason_of(error))
        except OSError:
            # The segments will say what is the matter.
            pass

    def _touch(self) -> None:
        now = time.monotonic()
        if now >= self._next_touch:
            self._next_touch = now + _TOUCH_SECONDS
            touch(self.folder, _TOUCH_SECONDS)

    @property
    def _what(self) -> str:
        return str(self.description.get("what") or self.key[:12])
