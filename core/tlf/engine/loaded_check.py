"""The check of a run's data before its first step: what is known anyway, once they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from tlf.data.findings import (
    FEW_IMAGES,
    Finding,
    Place,
    count_images,
    same_content,
    sizes_of_classes,
)
from tlf.errors import DataError

if TYPE_CHECKING:
    from tlf.data import Loaded

#: How many images in two splits an error names; the rest are counted.
SHOWN = 5
#: What a run warns of; the rest waits until somebody asks.
_WARNED_OF = frozenset({"leak", "label-conflict", "few-images", "unmeasured-class", "imbalance"})


def check_loaded(
    loaded: Loaded, *, leaks: Literal["error", "warn"], warn: Callable[[str], None]
) -> None:
    """Check what a run knows of its images anyway: their contents and labels. Decodes nothing.

    Args:
        loaded: The images.
        leaks: Whether an image that is in two splits is an error.
        warn: Gets a line for each thing that is likely to mislead.

    Raises:
        DataError: An image is in two splits, and that is an error.
    """
    splits = loaded.splits.values()
    places = [Place.of(split.name, item, split.classes) for split in splits for item in split.items]
    digests = [digest for split in splits for digest in split.digests]
    counts = count_images(loaded.splits, loaded.splits["train"].classes, places)
    sizes = sizes_of_classes(counts, loaded.splits["train"].task)
    for finding in (*same_content(places, digests, leaks=leaks), *sizes):
        if finding.severity == "error":
            raise _refused(finding)
        if finding.kind in _WARNED_OF and not _is_meant(finding, counts["train"]):
            warn(f"{finding.message} (`tlf data check` shows more)")


def _is_meant(finding: Finding, train: Mapping[str, int]) -> bool:
    # Where every class is small, somebody has chosen to learn from few images, and knows.
    return finding.kind == "few-images" and max(train.values()) < FEW_IMAGES


def _refused(finding: Finding) -> DataError:
    lines = [finding.message]
    for example in finding.examples[:SHOWN]:
        lines.append("  " + " = ".join(f"`{one.id}` ({one.split})" for one in example.images[:4]))
    if len(finding.examples) > SHOWN:
        lines.append(f"  and {len(finding.examples) - SHOWN} more")
    return DataError(
        "\n".join(lines),
        hint=f"{finding.hint}, which `tlf data check` lists; or set `data.leaks` to `warn` to go on "
        "all the same",
    )
