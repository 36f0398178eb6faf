"""Batches: which images go together, made ready in the background while the network works."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import torch

from tlf.data.sampling import balanced_draw
from tlf.data.seeds import stable_generator
from tlf.data.threads import ordered_results, start_threads
from tlf.data.views import Views, view_of_epoch

if TYPE_CHECKING:
    from tlf.data.loaded import LoadedSplit

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

#: Gets a split, places in it, and the view of each: its number, or None for evaluation's.
Fetch = Callable[["LoadedSplit", Sequence[int], Sequence[int | None]], ResultT]

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


def batch_order(
    count: int,
    batch_size: int,
    seed: int,
    epoch: int,
    balanced: Sequence[int] | None = None,
) -> list[list[int]]:
    """Return the images of each batch of an epoch, in random order.

    Every image is in one batch; or, balanced, every class is drawn equally often.

    What is left over makes a smaller last batch; but a single image that is left over joins the
    batch before it, which then has `batch_size + 1`: in train mode, batch normalisation cannot take
    a batch of one.

    Args:
        count: Number of images, at least 1.
        batch_size: Images a batch, at least 1.
        seed: The run's seed.
        epoch: Index of the epoch in the whole run.
        balanced: The class of each image if the classes are to be drawn equally often.
    """
    generator = stable_generator("order", seed, epoch)
    order = torch.randperm(count, generator=generator).tolist()
    if balanced is not None:
        drawn = balanced_draw(balanced, seed, epoch)
        order = [drawn[place] for place in order]
    number = batches_per_epoch(count, batch_size)
    starts = [index * batch_size for index in range(number)]
    return [order[start:end] for start, end in zip(starts, [*starts[1:], count], strict=True)]


def train_batches(
    split: LoadedSplit,
    fetch: Fetch[ResultT],
    order: Sequence[Sequence[int]],
    *,
    views: Views,
    seed: int,
    epoch: int,
    done: int = 0,
) -> Generator[tuple[ResultT, torch.Tensor]]:
    """Yield an epoch's batches: what is fetched of the images, and labels `(n,)`.

    A thread fetches up to two batches in advance. Its errors are raised here. It ends with the
    iteration, however that ends.

    Args:
        split: The training images.
        fetch: Gets the split, places in it, and the number of the view of each.
        order: Places of the images of each of its batches, as `batch_order` returns them.
        views: How many views there are of each image.
        seed: Draws which view of an image the epoch trains on.
        epoch: Index of the epoch in the whole run.
        done: How many of its batches are trained on already: they are passed over.
    """

    def make(batch: list[tuple[int, int]]) -> tuple[ResultT, torch.Tensor]:
        indices = [index for index, _ in batch]
        numbers = [
            view_of_epoch(views, seed, split.digests[index], epoch, repeat)
            for index, repeat in batch
        ]
        return fetch(split, indices, numbers), split.labels[indices]

    return in_background(make, _with_repeats(order)[done:])


def _with_repeats(order: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """Return with each place how often the epoch had it before."""
    seen: Counter[int] = Counter()
    batches = []
    for batch in order:
        pairs = []
        for index in batch:
            pairs.append((index, seen[index]))
            seen[index] += 1
        batches.append(pairs)
    return batches


def evaluation_batches(
    split: LoadedSplit, fetch: Fetch[ResultT], batch_size: int
) -> Generator[ResultT]:
    """Yield what is fetched of a split, in order, as evaluation sees it. Made in the background.

    Args:
        split: The images.
        fetch: Gets the split, places in it, and None, for evaluation's view, as often.
        batch_size: Images a batch; there may be fewer in the last.
    """

    def make(start: int) -> ResultT:
        indices = range(start, min(start + batch_size, len(split)))
        return fetch(split, indices, [None] * len(indices))

    return in_background(make, range(0, len(split), batch_size))


def in_background(make: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Generator[ResultT]:
    """Yield what a function makes of each item; a thread makes up to two in advance.

    Args:
        make: Runs in the thread.
        items: Its arguments.
    """
    # The thread ends with this generator. What blocks it is reading, for which it waits itself.
    threads = start_threads(1)
    try:
        with closing(ordered_results(threads, make, items, ahead=AHEAD)) as results:
            yield from results
    finally:
        threads.end()
