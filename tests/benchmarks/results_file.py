"""A file of results that several processes add to at once, a line for each cell.

The file is JSON, sorted, and replaced as a whole. What only matters while processes are at work lies
in a folder of the system's temporary directory: the lock under which the file is read and replaced,
and the claims on cells that are being measured.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple


class Cell(NamedTuple):
    """What is measured once.

    Attributes:
        data: Name of the images.
        strategy: Name of the strategy, or of the row of a table that stands for it.
        options: The strategy's options, as JSON with sorted keys.
        seed: Of the run, and of what is drawn from the images.
    """

    data: str
    strategy: str
    options: str
    seed: int


Found = dict[Cell, dict[str, Any]]


def cell(data: str, strategy: str, options: Mapping[str, Any], seed: int) -> Cell:
    """Return the cell that has these options, in whatever order they are given."""
    return Cell(data, strategy, json.dumps(options, sort_keys=True), seed)


class ResultsFile:
    """The file, and who is at work on which of its cells.

    Args:
        path: The file. It need not exist.
        state: Folder of the lock and the claims; by default one that follows from `path`.
    """

    def __init__(self, path: Path, state: Path | None = None) -> None:
        self.path = path.resolve()
        self.state = state or state_folder(self.path)

    def read(self) -> Found:
        """Return what is known of each cell."""
        if not self.path.exists():
            return {}
        return from_text(self.path.read_text(encoding="utf-8"))

    def add(self, measured: Cell, found: Mapping[str, Any]) -> Found:
        """Write what was measured of a cell, and return what is known of each."""
        with self._locked():
            known = {**self.read(), measured: dict(found)}
            self._write(known)
        return known

    def drop(self, cells: Iterable[Cell]) -> int:
        """Forget what is known of cells, and return of how many something was."""
        with self._locked():
            known = self.read()
            unwanted = known.keys() & set(cells)
            if unwanted:
                self._write({one: known[one] for one in known if one not in unwanted})
        return len(unwanted)

    @contextmanager
    def claimed(self, wanted: Sequence[Cell]) -> Iterator[Cell | None]:
        """Claim, for as long as the context lasts, the first cell that nobody measured or claimed.

        A claim is a lock that the operating system holds on an open file, so it ends with the
        process, however that ends.

        Args:
            wanted: The cells, in order. None is yielded if none of them is left.
        """
        with self._locked():
            claim = self._first_claim(wanted)
        if claim is None:
            yield None
            return
        chosen, file = claim
        try:
            yield chosen
        finally:
            with self._locked():
                Path(file.name).unlink(missing_ok=True)
                file.close()

    def _first_claim(self, wanted: Sequence[Cell]) -> tuple[Cell, IO[str]] | None:
        known = self.read()
        for one in wanted:
            if one in known:
                continue
            name = hashlib.sha256(json.dumps(one).encode()).hexdigest()[:16]
            file = (self.state / "claims" / name).open("a", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            # For people: who claimed what.
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "cell": one._asdict()}) + "\n")
            file.flush()
            return one, file
        return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        (self.state / "claims").mkdir(parents=True, exist_ok=True)
        with (self.state / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, known: Found) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.write_text(to_text(known), encoding="utf-8")
        temporary.replace(self.path)


def state_folder(path: Path) -> Path:
    """Return the folder, in the system's temporary directory, that belongs to a file of results."""
    name = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"tlf-benchmarks-{name}"


def to_text(known: Found) -> str:
    """Return the text of the file: cells in order, each in a line, so that differences are small."""
    lines = [
        json.dumps({**one._asdict(), "options": json.loads(one.options), **known[one]})
        for one in sorted(known)
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def from_text(text: str) -> Found:
    """Return what is known of each cell, from the text of the file."""
    known = {}
    for line in json.loads(text):
        identity = cell(*(line.pop(name) for name in Cell._fields))
        known[identity] = line
    return known
