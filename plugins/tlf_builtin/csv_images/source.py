"""Reads tables of images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tlf.errors import DataError
from tlf.plugin import Dataset, DataSource, Item, resolve_path, split_items
from tlf_builtin.csv_images.columns import find_columns
from tlf_builtin.csv_images.options import CsvOptions
from tlf_builtin.csv_images.recognise import recognise
from tlf_builtin.csv_images.rows import Row, printable, read_rows
from tlf_builtin.csv_images.table import read_table

#: In the order of a data set.
_SPLITS = ("train", "validation", "test")


class CsvImages(DataSource[CsvOptions]):
    """Images that a table names, with their classes, and perhaps splits and groups.

    Args:
        options: Where the table is, and what its columns are called.
        folder: What relative paths start from.
    """

    @classmethod
    def recognise(cls, folder: Path) -> Mapping[str, object] | None:
        """Return options for the only table of images in a folder.

        Raises:
            DataError: There is one, but its images are not there.
        """
        return recognise(folder)

    def open(self) -> Dataset:
        """Read the table.

        Raises:
            DataError: It is not there, or rows of it are wrong; all of them are named.
        """
        options = self.options
        file = self._path("file", options.file)
        table = read_table(file)
        columns = find_columns(table, options)
        rows = read_rows(
            table,
            columns,
            file.parent if options.images is None else self._path("images", options.images),
            separator=options.separator,
            classes=options.classes,
        )
        classes = self._classes(rows, file)
        index = {name: number for number, name in enumerate(classes)}
        items = [_item(row, index, several=columns.several) for row in rows]
        notes: list[str] = []
        if columns.split is None:
            splits = self._split(items, test_share=options.test_share)
        else:
            splits = self._splits_of(rows, items, file, notes)
        for name, found in splits.items():
            if not found:
                raise DataError(
                    f"no image of `{file}` is left for the split `{name}`",
                    hint="add images, or raise `validation_share` and `test_share`; a group is "
                    "never divided",
                )
        _check_learnable(splits["train"], classes, file)
        return Dataset(
            classes=tuple(classes),
            splits=splits,
            notes=tuple(notes),
            task="multi-label" if columns.several else "single-label",
        )

    def _path(self, option: str, written: str) -> Path:
        path = resolve_path(self.folder, written, f"data.options.{option}")
        return Path(os.path.abspath(path))  # noqa: PTH100 - links are to stay as they are

    def _classes(self, rows: Sequence[Row], file: Path) -> list[str]:
        if self.options.classes is not None:
            return [printable(name) for name in self.options.classes]
        found = _sorted({label for row in rows for label in row.labels})
        if len(found) < 2:
            only = f" only, `{found[0]}`," if found else " at all,"
            raise DataError(
                f"`{file}` has {len(found) or 'no'} class{only} and at least two are needed",
                hint="see that `data.options.label` or `labels` names the column with the classes",
            )
        return found

    def _split(self, items: Sequence[Item], test_share: float) -> dict[str, list[Item]]:
        shares = {"validation": self.options.validation_share}
        if test_share > 0.0:
            shares["test"] = test_share
        return split_items(items, shares, seed=self.options.split_seed)

    def _splits_of(
        self, rows: Sequence[Row], items: Sequence[Item], file: Path, notes: list[str]
    ) -> dict[str, list[Item]]:
        """Return the splits that the table gives; validation is held out of train if it gives none."""
        splits: dict[str, list[Item]] = {name: [] for name in _SPLITS}
        for row, item in zip(rows, items, strict=True):
            splits[row.split or "train"].append(item)
        if not splits["train"]:
            raise DataError(
                f"no row of `{file}` is in the split `train`",
                hint="write `train` into the split column of the images to train on",
            )
        given = self.options.model_fields_set
        if "test_share" in given and self.options.test_share > 0.0:
            raise _refused_share("test_share", file, "splits")
        if splits["validation"]:
            if "validation_share" in given:
                raise _refused_share("validation_share", file, "a validation split")
        else:
            held = self._split(splits["train"], test_share=0.0)
            splits |= held
            share = f"{self.options.validation_share:.0%} of each class"
            notes.append(f"of train, {share} is held out to validate on")
        return {name: found for name, found in splits.items() if found or name != "test"}


def _refused_share(option: str, file: Path, what: str) -> DataError:
    return DataError(
        f"`{option}` draws what `{file}` says already: it has {what}",
        hint=f"leave `data.options.{option}` out, or remove the column with the splits",
    )


def _item(row: Row, index: Mapping[str, int], *, several: bool) -> Item:
    labels = tuple(sorted(index[label] for label in row.labels))
    return Item(
        id=row.id,
        label=labels if several else labels[0],
        read=row.path.read_bytes,
        path=row.path,
        group=row.group,
    )


def _sorted(names: set[str]) -> list[str]:
    # Numbers as numbers: 10 comes after 9.
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _check_learnable(train: Sequence[Item], classes: Sequence[str], file: Path) -> None:
    seen = {label for item in train for label in item.labels}
    missing = [f"`{name}`" for label, name in enumerate(classes) if label not in seen]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if missing[5:] else "")
        raise DataError(
            f"`{file}` has no image to train on of {shown}",
            hint="add rows of the class to train, or take it out of the table",
        )
