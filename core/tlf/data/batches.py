"""Batches: which images go together, made ready in the background while the network works."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from tlf.data.seeds import stable_generator
from tlf.data.threads import ordered_results, start_threads
from tlf.data.views import Views, load_views, view_of_epoch

if TYPE_CHECKING:
    from tlf.data.loaded import LoadedSplit
    from tlf.plugin import Transform

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

#: How many batches are made in advance.
AHEAD = 2


def batches_per_epoch(count: int, batch_size: int) -> int:
    """Return how many batches `batch_order` makes.

    Args:
        count: Number of images, at least 1.
        batch_size: Images a batch, at least 1.
    """
    full, rest = divmod(count, batch_size)
    # See batch_order for a rest of one image.
    return full + (rest > 1 or (rest == 1 and full == 0))


def batch_order(count: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the images of each batch of an epoch, in random order. Every image is in one batch.

    What is left over makes a smaller last batch; but a single image that is left over joins the
    batch before it, which then has `batch_size + 1`: in train mode, batch normalisation cannot take
    a batch of one.

    Args:
        count: Number of images, at least 1.
        batch_size: Images a batch, at least 1.
        seed: The run's seed.
        epoch: Index of the epoch in the whole run.
    """
    generator = stable_generator("order", seed, epoch)
    order = torch.randperm(count, generator=generator).tolist()
    number = batches_per_epoch(count, batch_size)
    starts = [index * batch_size for index in range(number)]
    return [order[start:end] for start, end in zip(starts, [*starts[1:], count], strict=True)]


def train_batches(
    split: LoadedSplit,
    transform: Transform[Any],
    *,
    batch_size: int,
    views: Views,
    augmentation_seed: int,
    seed: int,
    epoch: int,
) -> Generator[tuple[torch.Tensor, torch.Tensor, list[int]]]:
    """Yield an epoch's batches: views uint8 `(n, 3, S, S)`, labels `(n,)`, places in the split.

    A thread makes up to two batches in advance. Its errors are raised here. It ends with the
    iteration, however that ends.

    Args:
        split: The training images.
        transform: Makes the views.
        batch_size: Images a batch.
        views: How many views there are of each image.
        augmentation_seed: Draws the views.
        seed: Draws the order, and which view of an image the epoch trains on.
        epoch: Index of the epoch in the whole run.
    """

    def make(indices: list[int]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        chosen = [view_of_epoch(views, seed, split.digests[index], epoch) for index in indices]
        numbers = [number for number in chosen if number is not None]
        images = load_views(
            split, transform, indices, view=numbers or None, augmentation_seed=augmentation_seed
        )
        return images, split.labels[indices], indices

    return _in_background(make, batch_order(len(split), batch_size, seed, epoch))


def padded_chunks(count: int, chunk_size: int) -> Iterator[tuple[list[int], int]]:
    """Yield the numbers 0 to `count - 1` in chunks of one size, each with how many of it count.

    The last chunk is filled up with its last number. So an image's result does not depend on how
    many it is evaluated with.

    Args:
        count: Number of images.
        chunk_size: Size of every chunk, at least 1.
    """
    for start in range(0, count, chunk_size):
        chunk = list(range(start, min(start + chunk_size, count)))
        yield chunk + chunk[-1:] * (chunk_size - len(chunk)), len(chunk)


def evaluation_batches(
    split: LoadedSplit, transform: Transform[Any], chunk_size: int
) -> Generator[tuple[torch.Tensor, int]]:
    """Yield a split in order as evaluation sees it: views uint8 `(chunk_size, 3, S, S)`.

    With each chunk comes how many of its rows count; the others pad it. Made in the background like
    training's batches.

    Args:
        split: The images.
        transform: Makes the views.
        chunk_size: Rows of every chunk.
    """

    def make(chunk: tuple[list[int], int]) -> tuple[torch.Tensor, int]:
        indices, valid = chunk
        # What only pads is not worth decoding.
        images = load_views(split, transform, indices[:valid], view=None, augmentation_seed=0)
        padding = images[-1:].expand(len(indices) - valid, -1, -1, -1)
        return torch.cat([images, padding]), valid

    return _in_background(make, padded_chunks(len(split), chunk_size))


def _in_background(make: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Generator[ResultT]:
    executor = start_threads(1)
    try:
        with closing(ordered_results(executor, make, items, ahead=AHEAD)) as results:
            yield from results
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
