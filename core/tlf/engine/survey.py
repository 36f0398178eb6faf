"""A first look at images that nobody has described: how many, how large, how grey."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlf.data import Header, Skipped, read_headers
from tlf.data.audit import check_what_is_left
from tlf.errors import DataError
from tlf.plugin import Dataset, Item

#: How many images are looked at; of more, so many, evenly spread.
LOOKED_AT = 2000


@dataclass(frozen=True)
class Survey:
    """What a look at the headers of images shows.

    Attributes:
        splits: How many images each split has.
        classes: How many images to train on each class has.
        looked_at: How many images were looked at.
        median_side: The median of their shorter sides, in pixels.
        smallest: Width and height of the one with the shortest side.
        largest: Width and height of the one with the longest shorter side.
        grey: How many of them have no colours.
        unreadable: Those whose header cannot be read.
    """

    splits: Mapping[str, int]
    classes: Mapping[str, int]
    looked_at: int
    median_side: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    grey: int
    unreadable: tuple[Skipped, ...]

    @property
    def total(self) -> int:
        """How many images there are."""
        return sum(self.splits.values())


def survey(dataset: Dataset) -> Survey:
    """Look at the headers of a data set's images. Nothing is decoded.

    Args:
        dataset: The data set.

    Raises:
        DataError: No header can be read, or those that can leave a split or a class empty.
    """
    items = [(split, item) for split, items in dataset.splits.items() for item in items]
    chosen = evenly_spread(items, LOOKED_AT)
    found = read_headers([item for _, item in chosen])
    headers = [header for header in found if isinstance(header, Header)]
    unreadable = tuple(
        Skipped(split, item.id, reason)
        for (split, item), reason in zip(chosen, found, strict=True)
        if isinstance(reason, str)
    )
    if not headers:
        raise DataError(
            f"none of the {len(chosen)} images can be read, such as `{unreadable[0].id}`: "
            f"{unreadable[0].reason}"
        )
    bad = {(one.split, one.id) for one in unreadable}
    readable = {
        split: [item for item in items if (split, item.id) not in bad]
        for split, items in dataset.splits.items()
    }
    check_what_is_left(dataset, readable, unreadable)
    labels = Counter(label for item in dataset.splits["train"] for label in item.labels)
    by_side = sorted(headers, key=lambda one: (min(one.width, one.height), one.width * one.height))
    return Survey(
        splits={split: len(items) for split, items in dataset.splits.items()},
        classes={name: labels[label] for label, name in enumerate(dataset.classes)},
        looked_at=len(chosen),
        median_side=round(statistics.median(min(one.width, one.height) for one in headers)),
        smallest=(by_side[0].width, by_side[0].height),
        largest=(by_side[-1].width, by_side[-1].height),
        grey=sum(header.is_grey for header in headers),
        unreadable=unreadable,
    )


def evenly_spread(items: Sequence[tuple[str, Item]], most: int) -> Sequence[tuple[str, Item]]:
    """Return all items, or, of more than `most`, so many at equal distances.

    Args:
        items: In order.
        most: How many at most, at least 1.
    """
    if len(items) <= most:
        return items
    return [items[index * len(items) // most] for index in range(most)]
