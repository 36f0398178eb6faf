"""Rows of a table as images; what is wrong with any of them is said at once, by its line."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import category

from tlf.errors import DataError, did_you_mean, nearest
from tlf_builtin.csv_images.columns import Columns
from tlf_builtin.csv_images.table import Table
from tlf_builtin.roles import ROLES, role_of

#: How many wrong rows an error names; the rest are counted.
SHOWN = 20

#: Control characters, halves of surrogate pairs, and what else begins a new line.
_NOT_SHOWN = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True)
class Row:
    """An image of the table.

    Attributes:
        line: Number of its line.
        id: Its path as the table means it, in one line.
        path: Its file.
        labels: Names of its classes, each once.
        split: `train`, `validation` or `test`; None if the table gives no splits.
        group: What it belongs together with; None for nothing.
    """

    line: int
    id: str
    path: Path
    labels: tuple[str, ...]
    split: str | None
    group: str | None


def read_rows(
    table: Table,
    columns: Columns,
    images: Path,
    *,
    separator: str,
    classes: Sequence[str] | None,
) -> list[Row]:
    """Return the images of a table, in its order.

    Args:
        table: The table.
        columns: Which column is what.
        images: What relative paths start from.
        separator: What stands between the classes of one image.
        classes: Those that there may be; None for any.

    Raises:
        DataError: Rows are wrong, or there are none.
    """
    reading = _Reading(columns, images, separator, classes)
    wrong: list[tuple[int, str]] = []
    rows: list[Row] = []
    for number, cells in table.rows():
        found = cells if isinstance(cells, str) else reading.row(number, cells)
        if isinstance(found, Row):
            rows.append(found)
        else:
            wrong.append((number, found))
    wrong += _torn_groups(rows)
    if wrong:
        raise _refused(table, sorted(wrong))
    if not rows:
        raise DataError(
            f"the table `{table.file}` has a header and no row", hint="add a row for each image"
        )
    return rows


def printable(text: str) -> str:
    """Return a text in one line, with what a terminal would obey written out.

    Args:
        text: Any text.
    """
    return "".join(
        one.encode("unicode_escape").decode() if category(one) in _NOT_SHOWN else one
        for one in text
    )


@dataclass
class _Reading:
    """Makes rows of cells, and remembers which paths there were."""

    columns: Columns
    images: Path
    separator: str
    classes: Sequence[str] | None
    lines: dict[str, int] = field(default_factory=dict)
    listed: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def row(self, number: int, cells: Sequence[str]) -> Row | str:
        """Return what a line means, or what is wrong with it."""
        columns = self.columns
        written = cells[columns.path]
        name, path = self._path(written)
        labels = self._labels(cells[columns.label])
        split = None if columns.split is None else role_of(cells[columns.split])
        group = "" if columns.group is None else cells[columns.group]
        wrong = [
            *self._wrong_path(written, name, path, number),
            *self._wrong_labels(labels),
            *([] if columns.split is None else _wrong_split(cells[columns.split])),
        ]
        if wrong:
            return "; ".join(wrong)
        label_names = tuple(printable(label) for label in labels)
        return Row(number, printable(name), path, label_names, split, printable(group) or None)

    def _path(self, written: str) -> tuple[str, Path]:
        """Return an image's name below the folder of all, and its file."""
        path = Path(os.path.normpath(self.images / written))
        try:
            return path.relative_to(self.images).as_posix(), path
        except ValueError:
            return posixpath.normpath(written), path

    def _wrong_path(self, written: str, name: str, path: Path, number: int) -> list[str]:
        if not written:
            return ["no path"]
        if name in self.lines:
            return [f"`{printable(name)}` is in line {self.lines[name]} already"]
        self.lines[name] = number
        if self._is_there(path):
            return []
        siblings = self.listed[str(path.parent)]
        if siblings is None:
            return [f"there is no folder `{printable(str(path.parent))}`"]
        near = nearest(path.name, siblings) if len(siblings) <= 1000 else None
        more = f"; did you mean `{printable(near)}`?" if near else ""
        if "\\" in written:
            more = "; write `/` between folders"
        return [f"there is no `{printable(path.name)}` in `{printable(str(path.parent))}`{more}"]

    def _is_there(self, path: Path) -> bool:
        # A folder is listed once: looking for each file by itself takes long on a network share.
        parent = str(path.parent)
        if parent not in self.listed:
            try:
                self.listed[parent] = frozenset(os.listdir(parent))  # noqa: PTH208 - names, quickly
            except (OSError, ValueError):
                self.listed[parent] = None
        names = self.listed[parent]
        # Where capitals do not matter to the system, the list alone does not say.
        return names is not None and (path.name in names or os.path.isfile(path))  # noqa: PTH113

    def _labels(self, cell: str) -> tuple[str, ...]:
        if not self.columns.several:
            return (cell,) if cell else ()
        return tuple(
            dict.fromkeys(filter(None, (one.strip() for one in cell.split(self.separator))))
        )

    def _wrong_labels(self, labels: Sequence[str]) -> list[str]:
        if not labels and not self.columns.several:
            return ["no label"]
        if self.classes is None:
            return []
        return [
            f"`{printable(label)}` is none of the `classes`; {did_you_mean(label, self.classes)}"
            for label in labels
            if label not in self.classes
        ]


def _wrong_split(written: str) -> list[str]:
    if role_of(written) is not None:
        return []
    what = f"`{printable(written)}` is no split" if written else "no split"
    return [f"{what}; {did_you_mean(written, ROLES) or ''}"]


def _torn_groups(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return what is wrong with groups that are in two splits: one sentence each."""
    first: dict[str, Row] = {}
    torn: dict[str, tuple[int, str]] = {}
    for row in rows:
        if row.group is None or row.split is None:
            continue
        other = first.setdefault(row.group, row)
        if other.split != row.split and row.group not in torn:
            message = (
                f"the group `{row.group}` is in `{row.split}` here, and in `{other.split}` in line "
                f"{other.line}"
            )
            torn[row.group] = (row.line, message)
    return list(torn.values())


def _refused(table: Table, wrong: Sequence[tuple[int, str]]) -> DataError:
    count = len(wrong)
    lines = [f"{count} row{' is' if count == 1 else 's are'} wrong in `{table.file}`"]
    lines += [f"  line {number}: {message}" for number, message in wrong[:SHOWN]]
    if count > SHOWN:
        lines.append(f"  and {count - SHOWN} more")
    messages: Mapping[str, str] = {
        "there is no ": "relative paths start at the table's folder, or at `data.options.images`",
        "the group ": "move the whole group into one split",
        "header": "put a cell that holds the delimiter into quotes",
    }
    hint = next(
        (hint for part, hint in messages.items() if any(part in one for _, one in wrong)),
        "correct these lines, or remove them",
    )
    return DataError("\n".join(lines), hint=hint)
