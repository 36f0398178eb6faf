"""What is wrong, or odd, about a data set: as values, from what is known of its images. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tlf.plugin import Item, Task

Severity = Literal["error", "warning", "note"]

#: A class with fewer images to train on is called small: of fewer than ten, one image alone is more
#: than a tenth of all that is known of the class, and a fifth held out to choose on is but one.
FEW_IMAGES = 10
#: How many times as many images the largest class may have as the smallest. From here on, never
#: naming the smallest costs less than a tenth of what the largest is worth.
MOST_IMBALANCE = 10.0


@dataclass(frozen=True)
class Place:
    """Where an image is.

    Attributes:
        split: Name of the split.
        id: The item's id.
        label: Name of the class; in a multi-label data set a tuple of such names.
    """

    split: str
    id: str
    label: str | tuple[str, ...]

    @classmethod
    def of(cls, split: str, item: Item, classes: Sequence[str]) -> Place:
        """Return where an item is.

        Args:
            split: Its split.
            item: The item.
            classes: Names of the classes.
        """
        names = tuple(classes[label] for label in item.labels)
        return cls(split, item.id, names if isinstance(item.label, tuple) else names[0])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all its classes."""
        return self.label if isinstance(self.label, tuple) else (self.label,)

    @property
    def shown(self) -> str:
        """Its classes, for people."""
        return " and ".join(self.labels) or "no class"


@dataclass(frozen=True)
class Example:
    """One case of a finding.

    Attributes:
        images: Those concerned: one, a pair or a group; none if it is about a class or a split.
        facts: What is known of it, as plain data.
    """

    images: tuple[Place, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that the user should know.

    Attributes:
        kind: Name of what was looked for: `leak`.
        severity: Whether a run is refused, is likely to mislead, or is only to be told of it.
        message: What was found, in one line.
        hint: What to do about it.
        examples: All cases.
    """

    kind: str
    severity: Severity
    message: str
    hint: str
    examples: tuple[Example, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
            "count": len(self.examples),
            "examples": [
                {
                    "images": [vars(place) for place in example.images],
                    "facts": dict(example.facts),
                }
                for example in self.examples
            ],
        }


def same_content(
    places: Sequence[Place], digests: Sequence[str], *, leaks: Literal["error", "warn"]
) -> list[Finding]:
    """Return what there is to say of images whose content is the same.

    Args:
        places: Of every image.
        digests: Of each one's content.
        leaks: Whether an image that is in two splits is an error.
    """
    groups: dict[str, list[Place]] = {}
    for place, digest in zip(places, digests, strict=True):
        groups.setdefault(digest, []).append(place)
    several = [group for group in groups.values() if len(group) > 1]
    leaking = [group for group in several if len({place.split for place in group}) > 1]
    mixed = [group for group in several if len({place.label for place in group}) > 1]
    twice = [group for group in map(_most_in_one_split, several) if len(group) > 1]
    return found(
        Finding(
            "leak",
            "error" if leaks == "error" else "warning",
            f"{counted(leaking, 'image is', 'images are')} in more than one split: what is measured "
            "there was seen in training, or chosen on",
            "keep each image in one split only",
            groups_of(leaking),
        ),
        Finding(
            "label-conflict",
            "warning",
            _mixed(mixed),
            "keep each image in the class that it shows"
            if _has_one_label(places)
            else "give the same labels to all copies of an image",
            groups_of(mixed),
        ),
        Finding(
            "duplicates",
            "warning",
            f"{counted(twice, 'image is', 'images are')} in one split several times, and counts "
            "as often",
            "keep one copy of each",
            groups_of(twice),
        ),
    )


def _has_one_label(places: Sequence[Place]) -> bool:
    return all(isinstance(place.label, str) for place in places)


def _mixed(groups: Sequence[Sequence[Place]]) -> str:
    if all(_has_one_label(group) for group in groups):
        return f"{counted(groups, 'image has', 'images have')} two labels or more"
    return f"{counted(groups, 'image is', 'images are')} there with different labels"


def _most_in_one_split(group: Sequence[Place]) -> list[Place]:
    split, _ = Counter(place.split for place in group).most_common(1)[0]
    return [place for place in group if place.split == split]


def count_images(
    splits: Sequence[str] | Mapping[str, object], classes: Sequence[str], places: Sequence[Place]
) -> dict[str, dict[str, int]]:
    """Return how many images each class has in each split.

    Args:
        splits: Their names.
        classes: Their names.
        places: Of the images that can be read.
    """
    number = Counter((place.split, name) for place in places for name in place.labels)
    return {split: {name: number[split, name] for name in classes} for split in splits}


def without_class(places: Sequence[Place]) -> list[Finding]:
    """Return what there is to say of images that show none of the classes.

    Args:
        places: Of every image.
    """
    without = [place for place in places if not place.labels]
    return found(
        Finding(
            "without-class",
            "note",
            f"{counted(without, 'image is', 'images are')} of no class",
            "that is an answer too, if it is meant; a label that is missing teaches what is wrong",
            tuple(Example((place,)) for place in without),
        )
    )


def sizes_of_classes(
    counts: Mapping[str, Mapping[str, int]], task: Task = "single-label"
) -> list[Finding]:
    """Return what there is to say of how many images each class has.

    Args:
        counts: Of readable images, by split and class; every class in every split.
        task: Says by which metrics to see small classes.
    """
    train = counts["train"]
    empty = [name for name, count in train.items() if not count]
    few = {name: count for name, count in train.items() if 0 < count < FEW_IMAGES}
    unseen = [
        (split, name)
        for split, classes in counts.items()
        for name, count in classes.items()
        if split != "train" and not count
    ]
    return found(
        Finding(
            "empty-class",
            "error",
            f"{counted(empty, 'class has', 'classes have')} no image to train on",
            "add images, or take the class out",
            tuple(_of_class("train", name, 0) for name in empty),
        ),
        Finding(
            "few-images",
            "warning",
            f"{counted(few, 'class has', 'classes have')} fewer than {FEW_IMAGES} images to train on",
            "add images: of so few, it is chance what is learned",
            tuple(_of_class("train", name, count) for name, count in few.items()),
        ),
        Finding(
            "unmeasured-class",
            "warning",
            f"{counted(unseen, 'class is', 'classes are')} missing in a split that is measured on",
            "add images of the class: nothing can be said of it otherwise",
            tuple(_of_class(split, name, 0) for split, name in unseen),
        ),
        *_imbalance(train, task),
    )


def _imbalance(train: Mapping[str, int], task: Task) -> list[Finding]:
    there = {name: count for name, count in train.items() if count}
    if not there:
        return []
    largest, smallest = max(there, key=there.__getitem__), min(there, key=there.__getitem__)
    ratio = there[largest] / there[smallest]
    if ratio <= MOST_IMBALANCE:
        return []
    return [
        Finding(
            "imbalance",
            "warning",
            f"the largest class, `{largest}`, has {ratio:,.0f} times as many images to train on as "
            f"the smallest, `{smallest}`",
            "look at `balanced-accuracy` and `macro-f1`: `accuracy` hides the small classes"
            if task == "single-label"
            else "look at `macro-f1`, and at each class: `micro-f1` hides the small ones",
            (
                _of_class("train", largest, there[largest]),
                _of_class("train", smallest, there[smallest]),
            ),
        )
    ]


def _of_class(split: str, name: str, count: int) -> Example:
    return Example(facts={"split": split, "class": name, "images": count})


def found(*findings: Finding) -> list[Finding]:
    """Return the findings that have a case.

    Args:
        findings: Some of which may be about nothing.
    """
    return [finding for finding in findings if finding.examples]


def groups_of(groups: Iterable[Sequence[Place]]) -> tuple[Example, ...]:
    """Return an example for each group of images.

    Args:
        groups: Of places.
    """
    return tuple(Example(tuple(group)) for group in groups)


def counted(things: Sequence[object] | Mapping[Any, Any], one: str, many: str) -> str:
    """Return how many there are, with the words that follow.

    Args:
        things: To be counted.
        one: What follows the number 1.
        many: What follows any other.
    """
    return f"{len(things):,} {one if len(things) == 1 else many}"
