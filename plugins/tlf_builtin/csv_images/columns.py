"""Which column of a table is what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlf.errors import DataError, nearest
from tlf_builtin.csv_images.options import CsvOptions
from tlf_builtin.csv_images.table import Table

#: What people call the columns besides, by option, the likeliest first; in lower case.
ALIASES: Mapping[str, Sequence[str]] = {
    "path": (
        "path",
        "file",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "image",
        "image_path",
        "image_name",
        "image_id",
        "image index",
    ),
    "label": ("label", "class", "class_name", "category", "target", "species", "diagnosis"),
    "labels": ("labels", "tags", "classes", "categories", "finding labels"),
    "split": ("split", "subset", "set", "partition", "fold"),
    "group": ("group", "patient", "patient_id", "patient id", "subject", "subject_id"),
}


@dataclass(frozen=True)
class Columns:
    """Where in a row each thing stands, by index.

    Attributes:
        path: Path of the image.
        label: Its class, or all of its classes.
        several: Whether it may have any number of classes.
        split: Its split; None if the table gives none.
        group: Its group; None if the table gives none.
    """

    path: int
    label: int
    several: bool
    split: int | None
    group: int | None


def find_columns(table: Table, options: CsvOptions) -> Columns:
    """Return which column is what.

    Args:
        table: The table.
        options: Name them.

    Raises:
        DataError: A column is missing, or it is not clear which one is meant.
    """
    path = _column(table, "path", options.path)
    several, label = _label(table, options)
    split, group = (
        _column(table, option, named) if named is not None else _usual(table, option)
        for option, named in (("split", options.split), ("group", options.group))
    )
    columns = Columns(path, label, several, split, group)
    used = [index for index in (path, label, split, group) if index is not None]
    twice = next((index for index in used if used.count(index) > 1), None)
    if twice is not None:
        raise DataError(
            f"the column `{table.header[twice]}` is named for two things at once",
            hint="give each of `path`, `label`, `split` and `group` in `data.options` its own",
        )
    return columns


def likely_column(header: Sequence[str], option: str) -> str | None:
    """Return the column that is likely meant; None if none is.

    Args:
        header: Names of the columns.
        option: What is looked for.
    """
    by_name = {name.lower(): name for name in reversed(header)}
    return next((by_name[alias] for alias in ALIASES[option] if alias in by_name), None)


def _label(table: Table, options: CsvOptions) -> tuple[bool, int]:
    """Return whether there are several labels, and where they stand."""
    if options.labels is not None:
        return True, _column(table, "labels", options.labels)
    if options.label is not None:
        return False, _column(table, "label", options.label)
    one, many = _usual(table, "label"), _usual(table, "labels")
    if one is not None and many is not None:
        raise DataError(
            f"`{table.file}` has a column `label` and a column `labels`: it is not clear which one "
            "is to be learned",
            hint='write `"label": "label"` or `"labels": "labels"` into `data.options`',
        )
    if many is not None:
        return True, many
    return False, _column(table, "label", "label") if one is None else one


def _usual(table: Table, option: str) -> int | None:
    return table.header.index(option) if option in table.header else None


def _column(table: Table, option: str, name: str) -> int:
    if name in table.header:
        return table.header.index(name)
    shown = ", ".join(f"`{one}`" for one in table.header[:12])
    near = nearest(name, table.header) or likely_column(table.header, option)
    hint = f"name one in `data.options.{option}`"
    if near is not None:
        hint = f'did you mean `{near}`? Then write `"{option}": "{near}"` into `data.options`'
    raise DataError(
        f"`{table.file}` has no column `{name}`; its header is {shown}"
        + (" …" if len(table.header) > 12 else ""),
        hint=hint,
    )
