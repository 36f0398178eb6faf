"""What fits a set of images: every number that `tlf init` chooses, as a pure function."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tlf.engine.survey import Survey

#: Images are clearly smaller than what the weights saw below this share of it.
CLEARLY_SMALLER = 0.75
#: Most networks halve the image five times, so that a multiple of this leaves no remainder.
SIZE_STEP = 32
SMALLEST_SIZE = 64

BATCHES_AN_EPOCH = 4
SMALLEST_BATCH = 8

#: How many images all epochs together should see at most.
IMAGES_IN_ALL = 500_000
FEWEST_EPOCHS = 2

#: Grey images whose shorter side is no longer than this may well be characters.
CHARACTER_SIDE = 64
NEARLY_ALL = 0.9

FEW_IMAGES = 10
VERY_UNEQUAL = 10

#: How many names a sentence gives; the others are counted.
SHOWN = 3


def possible_sizes(median_side: int, own: int) -> Iterator[int]:
    """Yield the sizes to try for images that are clearly smaller than what the weights saw.

    None if they are not: the backbone's own size is right then.

    Args:
        median_side: Median of the images' shorter sides, in pixels.
        own: Side of the square that the weights saw, in pixels.
    """
    if median_side < CLEARLY_SMALLER * own:
        least = max(SMALLEST_SIZE, -(-median_side // SIZE_STEP) * SIZE_STEP)
        yield from range(least, own, SIZE_STEP)


def batch_size(train_images: int, default: int) -> int:
    """Return the default, halved until an epoch has a few batches.

    Args:
        train_images: How many images there are to train on.
        default: What a spec takes that says nothing.
    """
    size = default
    while size // 2 >= SMALLEST_BATCH and train_images // size < BATCHES_AN_EPOCH:
        size //= 2
    return size


def epochs(train_images: int, default: int) -> int:
    """Return the default, or fewer for very many images.

    Args:
        train_images: How many images there are to train on.
        default: What a spec takes that says nothing.
    """
    return min(default, max(FEWEST_EPOCHS, IMAGES_IN_ALL // train_images))


def may_be_characters(images: Survey) -> bool:
    """Say whether images are small and grey, as digits and letters are.

    Args:
        images: What was seen of them.
    """
    seen = images.looked_at - len(images.unreadable)
    return images.median_side <= CHARACTER_SIDE and images.grey >= NEARLY_ALL * seen


def notes_on_classes(images: Survey) -> Iterator[str]:
    """Yield a sentence for each thing about the classes that a user should know.

    Args:
        images: What was seen of them.
    """
    few = [f"`{name}` {n}" for name, n in images.classes.items() if n < FEW_IMAGES]
    if few:
        yield (
            f"few images to train on: {listed(few)}; what a network learns of them depends much on "
            "which they are"
        )
    (rare, least), (common, most) = (
        choose(images.classes.items(), key=lambda item: item[1]) for choose in (min, max)
    )
    if most > VERY_UNEQUAL * least:
        yield (
            f"the classes are unequal, from `{rare}` with {least:,} images to train on to "
            f"`{common}` with {most:,}: look at the balanced accuracy"
        )


def listed(texts: list[str]) -> str:
    """Return the first few texts in words, and how many more there are.

    Args:
        texts: At least one.
    """
    more = f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def run_name(folder: str) -> str | None:
    """Return a name that a run can have, made of a folder's; None if nothing is left of it.

    Args:
        folder: The folder's own name.
    """
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:100]
    return name or None
