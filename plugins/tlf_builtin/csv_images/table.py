"""A table as text: its encoding, its delimiter, its header, and one row a line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tlf.errors import DataError

#: What may stand between two cells, the usual one first.
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """A table that has been read.

    Attributes:
        file: Where it is.
        header: Names of the columns.
        delimiter: What stands between two cells.
        lines: Number and text of each line below the header that is not empty.
    """

    file: Path
    header: tuple[str, ...]
    delimiter: str
    lines: tuple[tuple[int, str], ...]

    def rows(self) -> Iterator[tuple[int, tuple[str, ...] | str]]:
        """Yield the line number of each row with its cells, or with what is wrong with the line."""
        for number, line in self.lines:
            cells = _cells(line, self.delimiter)
            if isinstance(cells, tuple) and len(cells) != len(self.header):
                yield number, f"it has {_counted(len(cells))}, and the header {len(self.header)}"
            else:
                yield number, cells


def read_table(file: Path, most_bytes: int = -1) -> Table:
    """Return a table.

    Args:
        file: UTF-8, or what Excel writes as "Unicode text"; cells are separated by commas, semicolons
            or tabs.
        most_bytes: How much to read of it at most; -1 for all. The last line is then left out.

    Raises:
        DataError: The file cannot be read, or is no such table.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(most_bytes)
    except OSError as error:
        raise DataError(
            f"the table `{file}` cannot be read ({(error.strerror or str(error)).lower()})",
            hint="correct `data.options.file`; a relative path starts at the spec file's folder",
        ) from error
    cut = 0 <= most_bytes == len(content)
    text = _decoded(content, file, cut=cut)
    if "\0" in text:
        raise DataError(
            f"`{file}` is no table of text: it holds the character 0",
            hint="export the table as CSV",
        )
    # Not `splitlines`, which ends a line at characters that a cell may well hold.
    lines = re.split(r"\r\n|\n|\r", text)
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if cut and len(numbered) > 1:
        numbered.pop()
    if not numbered:
        raise DataError(
            f"the table `{file}` is empty", hint="its first line names the columns: `path,label`"
        )
    header, delimiter = _header(numbered[0][1], file)
    return Table(file, header, delimiter, tuple(numbered[1:]))


def _decoded(content: bytes, file: Path, *, cut: bool) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        # One byte more or less at the end: half a character.
        return content[: len(content) // 2 * 2].decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if cut and error.start > len(content) - 4:
            return content[: error.start].decode("utf-8-sig")
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"the table `{file}` is no UTF-8: line {line} holds the byte "
            f"`0x{content[error.start]:02x}`",
            hint="save it as UTF-8; spreadsheets call it `CSV UTF-8`",
        ) from error


def _header(line: str, file: Path) -> tuple[tuple[str, ...], str]:
    """Return the names of the columns and the delimiter: the one that makes most of them."""
    found = {delimiter: _cells(line, delimiter) for delimiter in DELIMITERS}
    rows = {delimiter: cells for delimiter, cells in found.items() if isinstance(cells, tuple)}
    if not rows:
        raise DataError(
            f"the header of `{file}` cannot be read: {found[DELIMITERS[0]]}",
            hint="its first line names the columns: `path,label`",
        )
    # Of equal ones `max` takes the first.
    delimiter = max(rows, key=lambda one: len(rows[one]))
    header = tuple(name.strip() for name in rows[delimiter])
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"the header of `{file}` has the column `{twice}` twice", hint="rename one of them"
        )
    return header, delimiter


def _cells(line: str, delimiter: str) -> tuple[str, ...] | str:
    """Return the cells of a line, or what is wrong with it."""
    try:
        # A line at a time: what is wrong with one does not swallow those below it.
        row = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return "its quotes do not end on the line; a cell must not hold a line break"
        return f"it cannot be read ({error})"
    return tuple(cell.strip() for cell in row)


def _counted(cells: int) -> str:
    return f"{cells} cell{'' if cells == 1 else 's'}"
