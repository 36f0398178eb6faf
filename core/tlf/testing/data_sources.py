"""Checks for data sources, on the small data set that the declaration brings."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from unittest import mock

from tlf.discovery import describe
from tlf.plugin import Dataset, DataSourceDeclaration, Item, Task
from tlf.registry import load_target
from tlf.testing.promises import (
    ContractError,
    create,
    is_list,
    must_work,
    require,
    target_of,
)

if TYPE_CHECKING:
    from tlf.registry import Entry

__tracebackhide__ = True


@contextlib.contextmanager
def _example(entry: Entry) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Give a folder with the example files, and the options that read them."""
    declaration = entry.declaration
    require(
        isinstance(declaration, DataSourceDeclaration),
        f"a data source is declared by a `DataSourceDeclaration`, not {declaration!r}",
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        with must_work("`example_files`, called with an empty folder,"):
            write = load_target(declaration.example_files, entry.plugin)  # type: ignore[attr-defined]
            options = write(folder)
        require(
            isinstance(options, Mapping),
            f"`example_files` must return the options that read the files, not {options!r}",
        )
        yield folder, options


def _open(entry: Entry, folder: Path, options: Mapping[str, Any]) -> Dataset:
    """Return the data set, whose values are of the right types."""
    source = create(entry, options, folder)
    with must_work("`open` of the example data set"):
        dataset = source.open()
    require(isinstance(dataset, Dataset), f"`open` must return a `Dataset`, not {dataset!r}")
    classes, splits = dataset.classes, dataset.splits
    require(
        is_list(classes) and all(isinstance(name, str) for name in classes),
        f"`classes` must be a tuple of names, not {classes!r}",
    )
    require(
        isinstance(splits, Mapping) and all(is_list(items) for items in splits.values()),
        f"`splits` must give a list of items to each split, not {splits!r}",
    )
    require(
        all(splits.get(name) for name in ("train", "validation")),
        f"`splits` must have items in `train` and in `validation`, not only in "
        f"{sorted(str(name) for name, items in splits.items() if items)}",
    )
    for items in splits.values():
        for item in items:
            require(
                isinstance(item, Item) and isinstance(item.id, str) and callable(item.read),
                f"`splits` must hold `Item` values with a text as `id`, not {item!r}",
            )
    return dataset  # type: ignore[no-any-return]


@contextlib.contextmanager
def _opened(entry: Entry) -> Iterator[Dataset]:
    with _example(entry) as (folder, options):
        yield _open(entry, folder, options)


def check_splits_are_disjoint(entry: Entry) -> None:
    """There is something to train and to validate on, and no item is in two splits."""
    with _opened(entry) as dataset:
        ids = [item.id for items in dataset.splits.values() for item in items]
        doubled = [one for one, count in Counter(ids).items() if count > 1]
        require(
            not doubled, f"an item's id must be unique over all splits, and {doubled[:3]} are not"
        )


def check_labels_name_classes(entry: Entry) -> None:
    """There are two classes or more, and every label is the index of one that train has."""
    with _opened(entry) as dataset:
        count = len(dataset.classes)
        require(count >= 2, f"there must be two classes or more, not {count}")
        require(len(set(dataset.classes)) == count, "class names must be unique")
        require(
            dataset.task in get_args(Task),
            f"`task` must be one of {list(get_args(Task))}, not {dataset.task!r}",
        )
        for item in (item for items in dataset.splits.values() for item in items):
            _check_label(item, dataset.task, count)
        trained = {label for item in dataset.splits["train"] for label in item.labels}
        missing = [name for label, name in enumerate(dataset.classes) if label not in trained]
        require(not missing, f"every class needs an item in `train`, and {missing} have none")


def _check_label(item: Item, task: Task, count: int) -> None:
    several = task == "multi-label"
    require(
        isinstance(item.label, tuple) if several else type(item.label) is int,
        f"labels must be of type `{'tuple' if several else 'int'}` in a {task} data set, not "
        f"{item.label!r} as that of `{item.id}` is",
    )
    require(
        all(type(label) is int and 0 <= label < count for label in item.labels),
        f"labels must be of type `int`, from 0 to {count - 1}, not {item.label!r} as that of "
        f"`{item.id}` is",
    )
    require(
        all(one < other for one, other in pairwise(item.labels)),
        f"the labels of an item must be each there once, and rise, unlike {item.label!r} of "
        f"`{item.id}`",
    )


def check_groups_stay_together(entry: Entry) -> None:
    """No group is in two splits, and the name of one is a text."""
    with _opened(entry) as dataset:
        split_of: dict[str, str] = {}
        for split, items in dataset.splits.items():
            for item in items:
                group = item.group
                if group is None:
                    continue
                require(
                    isinstance(group, str) and group,
                    f"`group` must be a text or None, not {group!r} as that of `{item.id}` is",
                )
                require(
                    split_of.setdefault(group, split) == split,
                    f"a group must be in one split, and `{group}` is in `{split_of[group]}` and in "
                    f"`{split}`",
                )


def check_order_is_stable(entry: Entry) -> None:
    """Opened twice, the items are the same in the same order, however the system lists folders."""
    with _example(entry) as (folder, options):
        first = _open(entry, folder, options)
        with _listed_backwards():
            second = _open(entry, folder, options)
    require(
        _contents(first) == _contents(second),
        "opened twice, `classes`, ids, labels, groups or their order differ: sort what you "
        "list, and draw nothing without a seed",
    )


def _contents(dataset: Dataset) -> object:
    splits = {
        name: [(item.id, item.label, item.group) for item in items]
        for name, items in dataset.splits.items()
    }
    return list(dataset.classes), splits


@contextlib.contextmanager
def _listed_backwards() -> Iterator[None]:
    """Make the system list folders in another order, as another machine may."""
    listdir, scandir = os.listdir, os.scandir

    def listdir_backwards(path: Any = ".") -> list[Any]:  # noqa: ANN401
        return listdir(path)[::-1]

    class Backwards:
        """What `os.scandir` returns: an iterator, and a context manager of one."""

        def __init__(self, path: Any = ".") -> None:  # noqa: ANN401
            with scandir(path) as entries:
                self._entries = iter(list(entries)[::-1])

        def __iter__(self) -> Iterator[Any]:
            return self._entries

        def __next__(self) -> Any:  # noqa: ANN401
            return next(self._entries)

        def __enter__(self) -> Backwards:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            """Close nothing: everything is read."""

    with mock.patch("os.listdir", listdir_backwards), mock.patch("os.scandir", Backwards):
        yield


def check_recognises_what_it_can_read(entry: Entry) -> None:
    """`recognise` gives options that read the folder, or None; an empty folder is nobody's."""
    target: Any = target_of(entry)
    with tempfile.TemporaryDirectory() as name, must_work("`recognise` of an empty folder"):
        found = target.recognise(Path(name))
        require(found is None, f"`recognise` of an empty folder must return None, not {found!r}")
    with _example(entry) as (folder, _):
        with must_work("`recognise` of the example data set"):
            found = target.recognise(folder)
        if found is None:
            return
        require(
            isinstance(found, Mapping),
            f"`recognise` must return a mapping of options or None, not {found!r}",
        )
        with must_work("writing what `recognise` returns as JSON"):
            options = json.loads(json.dumps(dict(found)))
        # Somewhere else than in the folder: the paths must lead there by themselves.
        with tempfile.TemporaryDirectory() as elsewhere:
            _open(entry, Path(elsewhere), options)


def check_items_can_be_read_anywhere(entry: Entry) -> None:
    """`read` gives an image file's bytes or uint8 pixels, and can be sent to another process."""
    with _opened(entry) as dataset:
        for items in dataset.splits.values():
            for item in items[:3]:
                what = f"`read` of `{item.id}`"
                with must_work(what):
                    content = item.read()
                _check_content(what, content)
                try:
                    # Only to see whether it can be sent to another process; nothing is unpickled.
                    pickle.dumps(item.read)
                except Exception as error:
                    message = f"{what} cannot be sent to another process: {error}; use a method or "
                    raise ContractError(f"{message}a `functools.partial`") from error


def _check_content(what: str, content: object) -> None:
    import numpy as np

    from tlf.data import decode

    if isinstance(content, bytes):
        with must_work(f"{what} gives bytes, and opening them as an image"):
            decode(content)
        return
    shape = tuple(getattr(content, "shape", ()))
    require(
        isinstance(content, np.ndarray)
        and content.dtype == np.uint8
        and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)),
        f"{what} must return the bytes of an image file, or pixels as a uint8 array (H, W) or "
        f"(H, W, 3), not a {type(content).__name__} {getattr(content, 'dtype', '')} {shape}",
    )


def check_errors_name_the_item(entry: Entry) -> None:
    """An item whose file is gone is an error that names it, and never something else."""
    with _example(entry) as (folder, options):
        dataset = _open(entry, folder, options)
        items = [items[0] for items in dataset.splits.values() if items]
        before = []
        for item in items:
            with must_work(f"`read` of `{item.id}`"):
                before.append(_as_bytes(item.read()))
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for item, content in zip(items, before, strict=True):
            try:
                after = _as_bytes(item.read())
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises
                names = (item.id, Path(item.id).name, item.path.name if item.path else item.id)
                require(
                    any(name in str(error) for name in names),
                    f"an error of `read` must name the item, and for `{item.id}`, whose file is "
                    f"gone, it is {describe(error)}",
                )
            else:
                require(
                    after == content,
                    f"`read` of `{item.id}`, whose file is gone, must raise an error, and gives "
                    "something else than before",
                )


def _as_bytes(content: Any) -> bytes:  # noqa: ANN401
    return content if isinstance(content, bytes) else bytes(content.tobytes())


CHECKS = (
    check_splits_are_disjoint,
    check_labels_name_classes,
    check_groups_stay_together,
    check_order_is_stable,
    check_recognises_what_it_can_read,
    check_items_can_be_read_anywhere,
    check_errors_name_the_item,
)
