"""Reading a data set: every image is read, decoded and brought to one size, once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from tlf.data.audit import (
    Skipped,
    broken_transform,
    check_dataset,
    check_what_is_left,
    refuse_unreadable,
)
from tlf.data.reader import Reader, Result
from tlf.errors import DataError
from tlf.plugin import Dataset, Item, Transform


@dataclass(frozen=True)
class LoadedSplit:
    """The images of one split that can be read.

    Attributes:
        name: Name of the split.
        classes: Names of the classes.
        items: In the order of the data set.
        digests: Of each item's content.
        labels: Int64 `(N,)`.
        shape: Of every image: `(3, H, W)`.
    """

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    digests: tuple[str, ...]
    labels: torch.Tensor
    shape: tuple[int, ...]
    _kept: Mapping[int, torch.Tensor] = field(repr=False)
    _reader: Reader = field(repr=False)

    def __len__(self) -> int:
        return len(self.items)

    def load(self, indices: Sequence[int]) -> torch.Tensor:
        """Return images as uint8 `(n, 3, H, W)`; those not in memory are decoded again.

        Args:
            indices: Places in `items`, in any order.

        Raises:
            DataError: An image is not what it was when the run began.
            PluginError: The transform loads it in another shape now.
        """
        images = torch.empty(len(indices), *self.shape, dtype=torch.uint8)
        again = []
        for row, index in enumerate(indices):
            if index in self._kept:
                images[row] = self._kept[index]
            else:
                again.append((row, index))
        if again:
            read = self._reader.read(self.items[index] for _, index in again)
            for (row, index), result in zip(again, read, strict=True):
                images[row] = self._unchanged(index, result)
        return images

    def _unchanged(self, index: int, result: Result) -> torch.Tensor:
        if not isinstance(result, str) and result[0] == self.digests[index]:
            _check_image(self.items[index], result[1], self.shape)
            return result[1]
        reason = f": {result}" if isinstance(result, str) else ""
        raise DataError(
            f"`{self.items[index].id}` has changed since the run began{reason}",
            hint="leave the images as they are while a run reads them",
        )


@dataclass(frozen=True)
class Loaded:
    """A data set that has been read.

    Attributes:
        splits: By name.
        skipped: The images that were left out because they cannot be read.
    """

    splits: Mapping[str, LoadedSplit]
    skipped: tuple[Skipped, ...]
    _reader: Reader = field(repr=False)

    @property
    def images_decoded(self) -> int:
        """How many times an image has been decoded so far."""
        return self._reader.images_decoded


class _Collector:
    """Takes what was read, split by split, and keeps as many images as the budget allows."""

    def __init__(self, dataset: Dataset, reader: Reader, memory_bytes: int) -> None:
        self.dataset = dataset
        self.reader = reader
        self.budget = memory_bytes
        self.shape: tuple[int, ...] | None = None
        self.skipped: list[Skipped] = []

    def collect(self, name: str, results: Iterator[Result]) -> LoadedSplit | None:
        """Return the split, or None if nothing in it can be read. Takes no more results."""
        items: list[Item] = []
        digests: list[str] = []
        kept: dict[int, torch.Tensor] = {}
        for item, result in zip(self.dataset.splits[name], results, strict=False):
            if isinstance(result, str):
                self.skipped.append(Skipped(name, item.id, result))
                continue
            self.shape = self.shape or tuple(result[1].shape)
            _check_image(item, result[1], self.shape)
            # The first ones are kept and stay: in a random order none is likelier to be next.
            if result[1].nbytes <= self.budget:
                self.budget -= result[1].nbytes
                kept[len(items)] = result[1]
            items.append(item)
            digests.append(result[0])
        if not items or self.shape is None:
            return None
        labels = torch.tensor([item.label for item in items], dtype=torch.int64)
        return LoadedSplit(
            name=name,
            classes=self.dataset.classes,
            items=tuple(items),
            digests=tuple(digests),
            labels=labels,
            shape=self.shape,
            _kept=kept,
            _reader=self.reader,
        )


def _check_image(item: Item, image: torch.Tensor, expected: tuple[int, ...]) -> None:
    shape = tuple(image.shape)
    good = image.dtype == torch.uint8 and len(shape) == 3 and shape[0] == 3
    if not good or shape != expected:
        raise broken_transform(
            f"it loads `{item.id}` as {image.dtype} {shape}, not as torch.uint8 "
            f"{expected if good else '(3, H, W)'}"
        )


def load_dataset(
    dataset: Dataset,
    transform: Transform[Any],
    *,
    unreadable: Literal["error", "skip-and-report"],
    workers: int | None,
    memory_bytes: int,
    progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Read and decode every image of a data set.

    Args:
        dataset: What to read.
        transform: Its `load` brings every image to one size.
        unreadable: Whether an image that cannot be read is an error, or is left out and listed.
        workers: Threads that decode; 0 for none, None for one per core. Changes no result.
        memory_bytes: How much of what was decoded may stay in memory. What does not fit is decoded
            again whenever it is used.
        progress: Called with the number of images read so far, and that of all.

    Raises:
        DataError: Images cannot be read, or too few can.
        PluginError: The data source or the transform breaks its contract.
    """
    check_dataset(dataset)
    reader = Reader(transform, workers)
    collector = _Collector(dataset, reader, memory_bytes)
    items = [item for split in dataset.splits.values() for item in split]
    # One pass over all splits, so that no thread waits for the last images of each.
    with closing(_reported(reader.read(items), len(items), progress)) as results:
        found = {name: collector.collect(name, results) for name in dataset.splits}
    if unreadable == "error":
        refuse_unreadable(collector.skipped, len(items))
    splits = {name: split for name, split in found.items() if split is not None}
    readable = {name: splits[name].items if name in splits else () for name in found}
    check_what_is_left(dataset, readable, collector.skipped)
    return Loaded(splits, tuple(collector.skipped), reader)


def _reported(
    results: Generator[Result], total: int, progress: Callable[[int, int], None] | None
) -> Generator[Result]:
    with closing(results):
        for done, result in enumerate(results, start=1):
            if progress is not None:
                progress(done, total)
            yield result
