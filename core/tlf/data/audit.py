"""What must hold of a data set before anything is trained on it, said in the user's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import get_args

from tlf.data.reasons import printable
from tlf.errors import DataError, PluginError
from tlf.plugin import Dataset, Item, Task

#: How many unreadable images an error names; the rest are counted.
SHOWN = 20


@dataclass(frozen=True)
class Skipped:
    """An image that was left out.

    Attributes:
        split: The split that it belonged to.
        id: The item's id.
        reason: Why it cannot be read.
    """

    split: str
    id: str
    reason: str


def check_dataset(dataset: Dataset) -> None:
    """Check what a data source promises.

    Args:
        dataset: As its `open` returned it.

    Raises:
        PluginError: A promise is broken.
    """
    _check_texts("class", dataset.classes)
    _check_texts("note", dataset.notes)
    if len(dataset.classes) < 2 or len(set(dataset.classes)) < len(dataset.classes):
        raise _broken(f"its classes are {list(dataset.classes)}, not two different ones or more")
    missing = [name for name in ("train", "validation") if not dataset.splits.get(name)]
    if missing:
        raise _broken(f"it gives no images for the split `{missing[0]}`")
    items = [item for split in dataset.splits.values() for item in split]
    _check_texts("id", (item.id for item in items))
    _check_labels(dataset, items)
    identity, number = Counter(item.id for item in items).most_common(1)[0]
    if number > 1:
        raise _broken(f"the id `{identity}` is given to {number} images")
    _check_groups(dataset)


def _check_labels(dataset: Dataset, items: Iterable[Item]) -> None:
    if dataset.task not in get_args(Task):
        raise _broken(f"its task is `{dataset.task}`, not {' or '.join(get_args(Task))}")
    several, count = dataset.task == "multi-label", len(dataset.classes)
    for item in items:
        if isinstance(item.label, tuple) != several:
            raise _broken(f"`{item.id}` has the label `{item.label}`, in a {dataset.task} data set")
        if any(label not in range(count) for label in item.labels):
            raise _broken(f"`{item.id}` has the label `{item.label}`, of {count} classes")
        if any(one >= other for one, other in pairwise(item.labels)):
            raise _broken(f"the labels of `{item.id}` are {item.label}, not each once and rising")


def _check_groups(dataset: Dataset) -> None:
    split_of: dict[str, str] = {}
    for split, items in dataset.splits.items():
        groups = dict.fromkeys(item.group for item in items if item.group is not None)
        _check_texts("group", groups)
        for group in groups:
            if group in split_of:
                raise _broken(f"the group `{group}` is in `{split_of[group]}` and in `{split}`")
            split_of[group] = split


def refuse_unreadable(skipped: Sequence[Skipped], total: int) -> None:
    """Stop because of images that cannot be read. Names all of them, up to a limit.

    Args:
        skipped: Those images, in order.
        total: How many images there are in all.

    Raises:
        DataError: There is at least one.
    """
    if not skipped:
        return
    count = len(skipped)
    lines = [f"{count} of {total} images cannot be read"]
    lines += [f"  `{item.id}` ({item.split}): {item.reason}" for item in skipped[:SHOWN]]
    if count > SHOWN:
        lines.append(f"  and {count - SHOWN} more")
    raise DataError(
        "\n".join(lines),
        hint="repair or remove them, or set `data.unreadable` to `skip-and-report` to leave them "
        "out and list them in the report",
    )


def check_what_is_left(
    dataset: Dataset, readable: Mapping[str, Iterable[Item]], skipped: Sequence[Skipped]
) -> None:
    """Check that every split has images and every class has some to learn from.

    Args:
        dataset: The data set.
        readable: The items of each split that can be read.
        skipped: Those that cannot.

    Raises:
        DataError: A split or a class is left with nothing.
    """
    hint = f"{len(skipped)} unreadable images were left out" if skipped else None
    left = {split: list(items) for split, items in readable.items()}
    empty = [split for split, items in left.items() if not items]
    if empty:
        raise DataError(f"the split `{empty[0]}` has no image that can be read", hint=hint)
    seen = {label for item in left["train"] for label in item.labels}
    unseen = [name for label, name in enumerate(dataset.classes) if label not in seen]
    if unseen:
        names = ", ".join(f"`{name}`" for name in unseen)
        raise DataError(f"no image to train on is left of {names}", hint=hint)


def broken_transform(what: str) -> PluginError:
    """Return the error for a transform that does not do what it promises.

    Args:
        what: What it does instead.
    """
    return _broken(what, who="transform")


def _check_texts(kind: str, values: Iterable[object]) -> None:
    # What is no UTF-8 could be written into no report, and each stands in one line of a message.
    for value in values:
        if not isinstance(value, str):
            raise _broken(f"the {kind} `{value!r}` is no text")
        if value != printable(value):
            raise _broken(
                f"the {kind} `{printable(value)}` is no text that UTF-8 can hold in one line"
            )


def _broken(what: str, who: str = "data source") -> PluginError:
    return PluginError(
        f"the {who} breaks its contract: {what}", hint="this is a fault of its plugin"
    )
