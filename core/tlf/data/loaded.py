"""Reading a data set: every image is read once, unless it is known that it can be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from tlf.data.audit import (
    Skipped,
    broken_transform,
    check_dataset,
    check_what_is_left,
    refuse_unreadable,
)
from tlf.data.patience import TIMEOUT_SECONDS, Patience
from tlf.data.reader import Read, Reader, Result, Wanted
from tlf.errors import DataError
from tlf.plugin import Dataset, Item, Task, Transform


class DigestMemory(Protocol):
    """Remembers the digests of files' contents."""

    def recall(self, paths: Sequence[Path]) -> Sequence[str | None]:
        """Return the digest of each file's content; None if it is not known or has changed."""

    def remember(self, path: Path, stat: os.stat_result, digest: str) -> None:
        """Remember the digest of a file's content, which was read after its `stat` was taken."""


class DecodedImages(Protocol):
    """Keeps decoded images, by the digest of their content."""

    def read(self, digests: Sequence[str]) -> tuple[np.ndarray, torch.Tensor | None]:
        """Return which images are there, and those, uint8 `(n, 3, H, W)`; None if there are none."""

    def add(self, digests: Sequence[str], images: torch.Tensor) -> None:
        """Keep images, uint8 `(n, 3, H, W)`."""


class Use:
    """What is made of the images while they are read: nothing, unless a class derives from this."""

    def needed(self, split: str, digest: str) -> bool:  # noqa: ARG002
        """Say whether an image is needed. Called in any thread.

        Args:
            split: Name of the split.
            digest: Of the image's content.
        """
        return True

    def prepare(self, split: str, digest: str, image: torch.Tensor) -> object:  # noqa: ARG002
        """Make something of an image. Called in any thread.

        Args:
            split: Name of the split.
            digest: Of the image's content.
            image: Uint8 `(3, H, W)`, as every image of the data set.
        """
        return None

    def take(self, digest: str, image: torch.Tensor, prepared: Any) -> None:  # noqa: ANN401
        """Take over an image. Called in the calling thread, in the order of the images.

        Args:
            digest: Of the image's content.
            image: Uint8 `(3, H, W)`.
            prepared: What `prepare` returned.
        """


@dataclass(frozen=True)
class LoadedSplit:
    """The images of one split that can be read.

    Attributes:
        name: Name of the split.
        classes: Names of the classes.
        items: In the order of the data set.
        digests: Of each item's content.
        labels: Int64 `(N,)`; in a multi-label data set float32 `(N, classes)`, 1 for each class that
            an image shows and 0 for the others.
        task: Whether an image is of exactly one class, or of any number of them.
    """

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    digests: tuple[str, ...]
    labels: torch.Tensor
    _reader: Reader = field(repr=False)
    _decoded: DecodedImages | None = field(repr=False)
    task: Task = "single-label"

    def __len__(self) -> int:
        return len(self.items)

    def load(self, indices: Sequence[int]) -> torch.Tensor:
        """Return images as uint8 `(n, 3, H, W)`; those that nobody has kept are decoded again.

        Args:
            indices: Places in `items`, in any order, at least one.

        Raises:
            DataError: An image is not what it was when the run began.
            PluginError: The transform loads images in different shapes.
        """
        digests = [self.digests[index] for index in indices]
        there, kept = (None, None) if self._decoded is None else self._decoded.read(digests)
        if there is None or kept is None:
            there = np.zeros(len(indices), dtype=bool)
        if kept is not None and there.all():
            return kept
        again = self._decode([index for row, index in enumerate(indices) if not there[row]])
        images = again.new_empty(len(indices), *again.shape[1:])
        mask = torch.from_numpy(there)
        if kept is not None:
            images[mask] = kept
        images[~mask] = again
        return images

    def _decode(self, indices: Sequence[int]) -> torch.Tensor:
        wanted = [Wanted(self.items[index]) for index in indices]
        images: list[torch.Tensor] = []
        for index, result in zip(indices, self._reader.read(wanted), strict=True):
            image = self._unchanged(index, result)
            _check_image(self.items[index], image, tuple((images or [image])[0].shape))
            images.append(image)
        stacked = torch.stack(images)
        if self._decoded is not None:
            self._decoded.add([self.digests[index] for index in indices], stacked)
        return stacked

    def _unchanged(self, index: int, result: Result) -> torch.Tensor:
        if isinstance(result, Read) and result.digest == self.digests[index]:
            assert result.image is not None
            return result.image
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
    """Takes what was read, split by split, and hands the images on."""

    def __init__(
        self,
        dataset: Dataset,
        reader: Reader,
        use: Use,
        digests: DigestMemory | None,
        decoded: DecodedImages | None,
        *,
        stop_at_once: bool,
    ) -> None:
        self.dataset = dataset
        self.reader = reader
        self.use = use
        self.memory = digests
        self.decoded = decoded
        self.shape: tuple[int, ...] | None = None
        self.skipped: list[Skipped] = []
        self.stop_at_once = stop_at_once

    def collect(self, name: str, results: Iterator[Result]) -> LoadedSplit | None:
        """Return the split, or None if nothing in it can be read. Takes no more results."""
        items: list[Item] = []
        digests: list[str] = []
        for item, result in zip(self.dataset.splits[name], results, strict=False):
            if isinstance(result, str):
                self.skipped.append(Skipped(name, item.id, result))
                continue
            if result.image is not None:
                self.shape = self.shape or tuple(result.image.shape)
                _check_image(item, result.image, self.shape)
                # Once it is clear that there will be no run, only what is wrong is looked for.
                if not (self.stop_at_once and self.skipped):
                    self.use.take(result.digest, result.image, result.prepared)
            if self.memory is not None and result.stat is not None and item.path is not None:
                self.memory.remember(item.path, result.stat, result.digest)
            items.append(item)
            digests.append(result.digest)
        if not items:
            return None
        return LoadedSplit(
            name=name,
            classes=self.dataset.classes,
            items=tuple(items),
            digests=tuple(digests),
            labels=labels_of(items, len(self.dataset.classes), self.dataset.task),
            _reader=self.reader,
            _decoded=self.decoded,
            task=self.dataset.task,
        )


def labels_of(items: Sequence[Item], classes: int, task: Task) -> torch.Tensor:
    """Return labels as the engine has them; see `LoadedSplit`.

    Args:
        items: The items.
        classes: How many classes there are.
        task: Of the data set.
    """
    if task == "single-label":
        return torch.tensor([item.label for item in items], dtype=torch.int64)
    labels = torch.zeros(len(items), classes)
    for row, item in zip(labels, items, strict=True):
        row[list(item.labels)] = 1.0
    return labels


def _check_image(item: Item, image: torch.Tensor, expected: tuple[int, ...]) -> None:
    shape = tuple(image.shape)
    good = image.dtype == torch.uint8 and len(shape) == 3 and shape[0] == 3
    if not good or shape != expected:
        raise broken_transform(
            f"it loads `{item.id}` as {image.dtype} {shape}, not as torch.uint8 "
            f"{expected if good else '(3, H, W)'}"
        )


def load_dataset(  # noqa: PLR0913 - each has a name
    dataset: Dataset,
    transform: Transform[Any],
    *,
    unreadable: Literal["error", "skip-and-report"],
    workers: int | None,
    timeout_seconds: float | None = TIMEOUT_SECONDS,
    use: Use | None = None,
    digests: DigestMemory | None = None,
    decoded: DecodedImages | None = None,
    only: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], object] | None = None,
) -> Loaded:
    """Read every image of a data set, and decode those that are needed.

    Args:
        dataset: What to read.
        transform: Its `load` brings every image to one size.
        unreadable: Whether an image that cannot be read is an error, or is left out and listed.
        workers: Threads that decode, None for one per core; 0 for nothing in advance. Changes no
            result.
        timeout_seconds: How long to wait for one image, now and later; None for as long as it takes.
        use: What is made of the images; by default nothing, but all are decoded to see that they can
            be. An image that is not needed counts as readable.
        digests: Remembers files' contents, which are then not read again.
        decoded: Keeps decoded images for later. What it does not have is decoded again when used.
        only: Names of the splits to read, `train` among them; None for all.
        progress: Called with the number of images read so far, and that of all.
        warn: Hears of images that take long, now and later; in whatever thread waits for them.

    Raises:
        DataError: Images cannot be read, or too few can, or one is never done with.
        RunError: There is not enough memory for an image.
        PluginError: The data source or the transform breaks its contract.
    """
    check_dataset(dataset)
    if only is not None:
        dataset = replace(dataset, splits={name: dataset.splits[name] for name in only})
    reader = Reader(transform, workers, Patience(timeout_seconds, warn))
    use = use or Use()
    collector = _Collector(
        dataset, reader, use, digests, decoded, stop_at_once=unreadable == "error"
    )
    items = [item for split in dataset.splits.values() for item in split]
    # One pass over all splits, so that no thread waits for the last images of each.
    reading = reader.read(_wanted(dataset, use, digests))
    with closing(_reported(reading, len(items), progress)) as results:
        found = {name: collector.collect(name, results) for name in dataset.splits}
    if unreadable == "error":
        refuse_unreadable(collector.skipped, len(items))
    splits = {name: split for name, split in found.items() if split is not None}
    readable = {name: splits[name].items if name in splits else () for name in found}
    check_what_is_left(dataset, readable, collector.skipped)
    return Loaded(splits, tuple(collector.skipped), reader)


def _wanted(dataset: Dataset, use: Use, digests: DigestMemory | None) -> Iterator[Wanted]:
    for name, items in dataset.splits.items():
        needed, prepare = partial(use.needed, name), partial(use.prepare, name)
        for item, digest in zip(items, _known_digests(items, digests), strict=True):
            yield Wanted(item, digest, needed, prepare)


def _known_digests(items: Sequence[Item], memory: DigestMemory | None) -> Sequence[str | None]:
    if memory is None:
        return [None] * len(items)
    known = iter(memory.recall([item.path for item in items if item.path is not None]))
    return [None if item.path is None else next(known) for item in items]


def _reported(
    results: Generator[Result], total: int, progress: Callable[[int, int], None] | None
) -> Generator[Result]:
    with closing(results):
        for done, result in enumerate(results, start=1):
            if progress is not None:
                progress(done, total)
            yield result
