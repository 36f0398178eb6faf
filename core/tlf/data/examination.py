"""A whole data set looked at, image by image, and what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tlf.data import near
from tlf.data.alike import same_looks
from tlf.data.audit import Skipped
from tlf.data.findings import (
    FEW_IMAGES,
    MOST_IMBALANCE,
    Example,
    Finding,
    Place,
    count_images,
    counted,
    found,
    same_content,
    sizes_of_classes,
    without_class,
)
from tlf.data.looks import Look, look_at
from tlf.data.oddities import GREY_SHARE, MOST_ASPECT, SMALL_SHARE, odd_pixels, odd_shapes
from tlf.plugin import Dataset


@dataclass(frozen=True)
class Examination:
    """What was found in a data set.

    Attributes:
        images: Readable images by split.
        counts: The same by split and class.
        image_size: Side of the square that the network sees, in pixels.
        findings: Errors first, then warnings, then notes.
    """

    images: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    image_size: int
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What a run would refuse."""
        return tuple(one for one in self.findings if one.severity == "error")

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "schema_version": 1,
            "ok": not self.errors,
            "image_size": self.image_size,
            "splits": {
                split: {"images": self.images[split], "classes": dict(classes)}
                for split, classes in self.counts.items()
            },
            "thresholds": {
                "hash_bits": 64,
                "most_bits": near.MOST_BITS,
                "least_likeness": near.LEAST_LIKENESS,
                "least_contrast": near.LEAST_CONTRAST,
                "few_images": FEW_IMAGES,
                "most_imbalance": MOST_IMBALANCE,
                "small_share": SMALL_SHARE,
                "most_aspect": MOST_ASPECT,
                "grey_share": GREY_SHARE,
            },
            "findings": [finding.as_json() for finding in self.findings],
        }


def examine(
    dataset: Dataset,
    *,
    image_size: int,
    unreadable: Literal["error", "skip-and-report"],
    leaks: Literal["error", "warn"],
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Examination:
    """Look at every image of a data set, and say what is wrong or odd. Nothing is kept of the images.

    Args:
        dataset: What to look at.
        image_size: Side of the square that the network sees, in pixels.
        unreadable: Whether an image that cannot be read is an error.
        leaks: Whether an image that is in two splits is an error.
        workers: Threads that decode; 0 for none, None for one per core.
        progress: Called with the number of images looked at so far, and that of all.
    """
    everything = [(split, item) for split, items in dataset.splits.items() for item in items]
    places: list[Place] = []
    looks: list[Look] = []
    skipped: list[Skipped] = []
    seen = look_at((item for _, item in everything), workers)
    for done, ((split, item), look) in enumerate(zip(everything, seen, strict=True), start=1):
        if progress is not None:
            progress(done, len(everything))
        if isinstance(look, str):
            skipped.append(Skipped(split, item.id, look))
            continue
        places.append(Place.of(split, item, dataset.classes))
        looks.append(look)
    counts = count_images(dataset.splits, dataset.classes, places)
    readable = Counter(place.split for place in places)
    images = {split: readable[split] for split in dataset.splits}
    where = {item.id: Place.of(split, item, dataset.classes) for split, item in everything}
    findings = [
        *_unreadable(skipped, where, len(everything), error=unreadable == "error"),
        *_empty_splits(images),
        *same_content(places, [look.digest for look in looks], leaks=leaks),
        *sizes_of_classes(counts, dataset.task),
        *without_class(places),
        *same_looks(places, looks),
        *odd_shapes(places, looks, image_size),
        *odd_pixels(places, looks),
    ]
    order = ("error", "warning", "note")
    findings.sort(key=lambda finding: order.index(finding.severity))
    return Examination(images, counts, image_size, tuple(findings))


def _unreadable(
    skipped: Sequence[Skipped], where: Mapping[str, Place], total: int, *, error: bool
) -> list[Finding]:
    return found(
        Finding(
            "unreadable",
            "error" if error else "warning",
            f"{len(skipped):,} of {total:,} images cannot be read"
            + ("" if error else ", and are left out"),
            "repair or remove them, or set `data.unreadable` to `skip-and-report`"
            if error
            else "repair or remove them",
            tuple(Example((where[one.id],), {"reason": one.reason}) for one in skipped),
        )
    )


def _empty_splits(images: Mapping[str, int]) -> list[Finding]:
    empty = [split for split, number in images.items() if not number]
    return found(
        Finding(
            "empty-split",
            "error",
            f"{counted(empty, 'split has', 'splits have')} no image that can be read",
            "add images",
            tuple(Example(facts={"split": split}) for split in empty),
        )
    )
