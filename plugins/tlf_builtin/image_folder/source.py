"""Reads image folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from unicodedata import category

from tlf.errors import DataError
from tlf.plugin import Dataset, DataSource, Item, resolve_path
from tlf_builtin.image_folder.options import ImageFolderOptions
from tlf_builtin.image_folder.problems import (
    check_apart,
    check_classes,
    check_no_splits,
    check_same_classes,
)
from tlf_builtin.image_folder.recognise import recognise
from tlf_builtin.image_folder.scan import Scan, check_folder, scan
from tlf_builtin.image_folder.shots import keep_shots
from tlf_builtin.image_folder.split import split_class
from tlf_builtin.roles import is_role

#: Control characters, halves of surrogate pairs, and what else begins a new line.
_NOT_SHOWN = frozenset({"Cc", "Cs", "Zl", "Zp"})


class ImageFolder(DataSource[ImageFolderOptions]):
    """Images in a folder for each class, in folders for each split or to be split.

    Args:
        options: Where the folders are.
        folder: What relative paths start from.
    """

    @classmethod
    def recognise(cls, folder: Path) -> Mapping[str, object] | None:
        """Return options for a folder of classes or of splits, or for the only folder inside.

        Raises:
            DataError: There are images, but not in folders for each class.
        """
        return recognise(folder)

    def open(self) -> Dataset:
        """List the images.

        Raises:
            DataError: The folders are not there, or do not hold classes of enough images.
        """
        if self.options.folder is None:
            dataset = self._open_splits()
        else:
            dataset = self._open_folder(self._path("folder", self.options.folder))
        dataset = replace(dataset, notes=(*dataset.notes, *self._notes_on_splits()))
        shots = self.options.shots
        if shots is None:
            return dataset
        return keep_shots(dataset, shots=shots, seed=self.options.shots_seed)

    def _notes_on_splits(self) -> tuple[str, ...]:
        """Return a note if the folders' names say that a split is missing."""
        options = self.options
        if options.folder is not None and is_role(Path(options.folder).name, "train"):
            share = f"{options.validation_fraction:.0%} of each class"
            return (f"of `{_printable(options.folder)}`, {share} is held out to validate on",)
        if options.test is None and is_role(Path(options.validation or "").name, "test"):
            name = _printable(options.validation or "")
            return (f"`{name}` is what is reported: it is evaluated after every epoch",)
        return ()

    def _path(self, option: str, written: str) -> Path:
        path = resolve_path(self.folder, written, f"data.options.{option}")
        return Path(os.path.abspath(path))  # noqa: PTH100 - links are to stay as they are

    def _open_splits(self) -> Dataset:
        names = ("train", "validation", "test")
        written = {name: getattr(self.options, name) for name in names}
        folders = {
            name: self._path(name, path) for name, path in written.items() if path is not None
        }
        for folder in folders.values():
            check_folder(folder)
        check_apart(folders)
        scans = {name: scan(folder) for name, folder in folders.items()}
        for name, found in scans.items():
            check_classes(found)
            check_same_classes(("train", scans["train"]), (name, found))
        prefixes = _prefixes(folders)
        splits = {
            name: [
                _item(path, label, f"{prefixes[name]}/{_below(found.folder, path)}")
                for label, paths in enumerate(found.images.values())
                for path in paths
            ]
            for name, found in scans.items()
        }
        return _dataset(list(scans.values()), splits)

    def _open_folder(self, folder: Path) -> Dataset:
        found = scan(folder)
        check_no_splits(found)
        check_classes(found)
        splits: dict[str, list[Item]] = {"train": [], "validation": [], "test": []}
        for label, (name, paths) in enumerate(found.images.items()):
            by_id = {_below(folder, path): path for path in paths}
            for split, identities in self._split(name, list(by_id)).items():
                splits[split] += [_item(by_id[one], label, one) for one in identities]
        if not splits["test"]:
            if self.options.test_fraction > 0.0:
                raise DataError(
                    f"`test_fraction` {self.options.test_fraction:g} of the images in `{folder}` "
                    "is none, in every class",
                    hint="raise `test_fraction`, or leave it out",
                )
            del splits["test"]
        return _dataset([found], splits)

    def _split(self, name: str, identities: list[str]) -> dict[str, list[str]]:
        if len(identities) < 2:
            raise DataError(
                f"the class `{name}` has 1 image only, and a split needs at least 2",
                hint="add images of the class, or remove its folder",
            )
        return split_class(
            identities,
            validation_fraction=self.options.validation_fraction,
            test_fraction=self.options.test_fraction,
            seed=self.options.split_seed,
        )


def _dataset(scans: list[Scan], splits: dict[str, list[Item]]) -> Dataset:
    others = [path for found in scans for path in found.others]
    count = len(others)
    note = (
        f"passed over {count} file{'' if count == 1 else 's'} that {'is' if count == 1 else 'are'} "
        f"no image{'' if count == 1 else 's'} by name, such as `{_printable(others[0].name)}`"
        if others
        else ""
    )
    classes = tuple(_printable(name) for name in scans[0].images)
    return Dataset(classes=classes, splits=splits, notes=(note,) if note else ())


def _item(path: Path, label: int, identity: str) -> Item:
    return Item(id=identity, label=label, read=path.read_bytes, path=path)


def _prefixes(folders: dict[str, Path]) -> dict[str, str]:
    """Return what the ids of each split begin with: its folder's path below what all share."""
    try:
        common = Path(os.path.commonpath(folders.values()))
    except ValueError:
        # On Windows, different drives share nothing.
        return {name: name for name in folders}
    return {name: _below(common, folder) for name, folder in folders.items()}


def _below(folder: Path, path: Path) -> str:
    return _printable(path.relative_to(folder).as_posix())


def _printable(name: str) -> str:
    # A name that is no UTF-8 could be written into no report; one with a line break or a command to a
    # terminal would garble messages.
    return "".join(
        one.encode("unicode_escape").decode() if category(one) in _NOT_SHOWN else one
        for one in name
    )
