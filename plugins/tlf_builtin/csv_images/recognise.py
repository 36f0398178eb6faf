"""Seeing whether a folder holds a table of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tlf.errors import DataError
from tlf.plugin.images import list_folder
from tlf_builtin.csv_images.columns import likely_column
from tlf_builtin.csv_images.table import Table, read_table

_SUFFIXES = frozenset({".csv", ".tsv"})
#: So much of a table is read to see what it is, in bytes.
_LOOKED_AT = 2**16
#: Folders in which a table's images are looked for.
_MOST_FOLDERS = 100


def recognise(folder: Path) -> Mapping[str, object] | None:
    """Return options that read the only table of images in a folder; None if there is none.

    Args:
        folder: A folder that is there.

    Raises:
        DataError: There is one, but its first image is nowhere near.
    """
    folders, files = list_folder(folder)
    found = [
        (table, columns)
        for file in files
        if file.suffix.lower() in _SUFFIXES
        for table in _tables(file)
        if (columns := _columns(table)) is not None
    ]
    if len(found) != 1:
        return None
    ((table, columns),) = found
    first = _first_path(table, columns["path"])
    if first is None:
        return None
    options: dict[str, object] = {"file": str(table.file)}
    # What is called as usual need not be named.
    options |= {option: name for option, name in columns.items() if option != name}
    if (folder / first).is_file():
        return options
    inside = next((one for one in folders[:_MOST_FOLDERS] if (one / first).is_file()), None)
    if inside is None:
        raise DataError(
            f"the first image of the table `{table.file}`, `{first}`, is not there",
            hint="write a spec that says where the images are: `data.options.images`",
        )
    return {**options, "images": str(inside)}


def _tables(file: Path) -> list[Table]:
    try:
        return [read_table(file, _LOOKED_AT)]
    except DataError:
        return []


def _columns(table: Table) -> dict[str, str] | None:
    """Return the columns that are likely meant, by option; None if it is no table of images."""
    names = {
        option: likely_column(table.header, option)
        for option in ("path", "label", "labels", "split", "group")
    }
    if names["labels"] is not None:
        # Of both, the one is often the other's first.
        names["label"] = None
    found = {option: name for option, name in names.items() if name is not None}
    return found if "path" in found and found.keys() & {"label", "labels"} else None


def _first_path(table: Table, column: str) -> str | None:
    index = table.header.index(column)
    cells = next((cells for _, cells in table.rows() if isinstance(cells, tuple)), None)
    return None if cells is None else cells[index] or None
