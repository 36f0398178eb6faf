"""The images of a run read again: sizes from their headers, pixels as the network sees them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from tlf.data import decode, digest
from tlf.data.decode import known_formats
from tlf.data.quiet import pil_warnings_ignored
from tlf.data.reader import read_item
from tlf.data.threads import ThreadPool

if TYPE_CHECKING:
    import torch

    from tlf.plugin import Item, Transform


@dataclass(frozen=True)
class Seen:
    """An image that was read again.

    Attributes:
        picture: As its owner made it.
        image: What the transform makes of it, uint8 `(3, H, W)`.
        digest: Of its content.
    """

    picture: Image.Image
    image: torch.Tensor
    digest: str


def read_again(items: Iterable[Item], transform: Transform[Any]) -> Iterator[Seen | str]:
    """Yield each image, in order, or why it cannot be read.

    Args:
        items: What to read.
        transform: Its `load` brings every image to one size.
    """

    def see(item: Item) -> Seen | str:
        found = read_item(item, lambda content: (digest(content), decode(content)))
        if isinstance(found, str):
            return found
        identity, picture = found
        return Seen(picture, transform.load(picture), identity)

    pool = ThreadPool(None)
    with pil_warnings_ignored(), closing(pool.map(see, items, lambda item: item.id)) as results:
        yield from results


def describe_images(
    splits: Mapping[str, Sequence[str]],
    items: Mapping[str, Item],
    used: Mapping[str, Any],
    skipped: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Return how many images each split holds, how large they are, and what was left out.

    Sizes are read from the headers of files, nothing is decoded; they are as stored: a photograph that
    was taken upright may lie on its side.

    Args:
        splits: Ids of the images that were used, by split.
        items: The images that are there now, by id.
        used: Numbers of images of each split, and of each class, when the run was made.
        skipped: What the run left out, with `split`, `id` and `reason`.
    """
    return {
        name: {
            **used[name],
            **_sizes([items[one] for one in ids if one in items]),
            "skipped": [
                {"id": one["id"], "reason": one["reason"]}
                for one in skipped
                if one["split"] == name
            ],
        }
        for name, ids in splits.items()
    }


def _sizes(items: Sequence[Item]) -> dict[str, Any]:
    pool = ThreadPool(None)
    with pil_warnings_ignored(), closing(pool.map(_header, items, lambda item: item.id)) as headers:
        found = [header for header in headers if header is not None]
    return {
        "width": _spread([width for width, _, _ in found]),
        "height": _spread([height for _, height, _ in found]),
        "modes": dict(sorted(Counter(mode for _, _, mode in found).items())),
    }


def _header(item: Item) -> tuple[int, int, str] | None:
    if item.path is None:
        return None
    try:
        # Lazy: the pixels stay on the disk.
        with Image.open(item.path, formats=known_formats()) as image:
            return image.width, image.height, image.mode
    except Exception:  # noqa: BLE001 - for a damaged file, PIL raises nearly every error there is
        return None


def _spread(values: Sequence[int]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "minimum": min(values),
        "median": statistics.median(values),
        "maximum": max(values),
    }
