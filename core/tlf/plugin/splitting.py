"""Splitting items into train and what is held out of it: by class, by seed, whole groups only."""

from __future__ import annotations

import hashlib
import heapq
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlf.plugin.interfaces import Item

#: The split that gets what no other takes.
TRAIN = "train"


def split_items(
    items: Sequence[Item], shares: Mapping[str, float], *, seed: int
) -> dict[str, list[Item]]:
    """Return the items of each split: `train`, and those that are named, each in the order given.

    The split is stratified: each class has about the same share everywhere, also where an item has
    several (iterative stratification: Sechidis et al. 2011,
    https://doi.org/10.1007/978-3-642-23808-6_10). The rarest class is dealt out first. Of a class of
    one item, or of one group, that is in train; of one of more, at least one goes to each split as far
    as they last, to those named first before the others. Which items these are follows from the seed
    and from ids and groups, and not from their order.

    Args:
        items: Of either task. Those of one group stay together.
        shares: What share of the items each other split gets, each in [0, 1), together less than 1.
            One with the share 0 gets nothing.
        seed: Draws the split.

    Raises:
        ValueError: The shares leave nothing for train, or name it.
    """
    if TRAIN in shares or min(shares.values(), default=0.0) < 0 or sum(shares.values()) >= 1:
        raise ValueError(f"the shares {dict(shares)} leave nothing for train")
    wanted = {name: share for name, share in shares.items() if share > 0}
    units = _units(items, seed)
    dealer = _Dealer(units, [TRAIN, *wanted], [1 - sum(wanted.values()), *wanted.values()])
    split_of = {id(item): dealer.dealt[n] for n, unit in enumerate(units) for item in unit.items}
    splits: dict[str, list[Item]] = {name: [] for name in (TRAIN, *shares)}
    for item in items:
        splits[split_of[id(item)]].append(item)
    return splits


@dataclass(frozen=True)
class _Unit:
    """Items that stay together, with how many of them are of each class."""

    items: Sequence[Item]
    labels: Counter[int]


def _units(items: Sequence[Item], seed: int) -> list[_Unit]:
    """Return what stays together, in the order in which it is dealt out."""
    together: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        key = ("item", item.id) if item.group is None else ("group", item.group)
        together.setdefault(key, []).append(item)
    line = sorted(together, key=lambda key: _place(seed, *key))
    return [
        _Unit(together[key], Counter(label for item in together[key] for label in item.labels))
        for key in line
    ]


def _place(seed: int, kind: str, name: str) -> bytes:
    # One system writes an accented letter as one character, another as two.
    text = f"{kind}/{seed}/{unicodedata.normalize('NFC', name)}"
    return hashlib.sha256(text.encode()).digest()


class _Dealer:
    """Deals units out to splits, the rarest class first.

    Attributes:
        dealt: The split of each unit, by its index.
    """

    def __init__(self, units: Sequence[_Unit], names: Sequence[str], shares: list[float]) -> None:
        self.units = units
        self.names = names
        self.dealt: dict[int, str] = {}
        self.of_class: dict[int, list[int]] = {}
        for index, unit in enumerate(units):
            for label in unit.labels:
                self.of_class.setdefault(label, []).append(index)
        #: Units of each class that are not dealt yet.
        self.left = {label: len(members) for label, members in self.of_class.items()}
        totals: Counter[int] = Counter()
        for unit in units:
            totals.update(unit.labels)
        count = sum(len(unit.items) for unit in units)
        #: How many items of each class, and of all, a split is still to get.
        self.needs = {
            name: {label: share * total for label, total in totals.items()}
            for name, share in zip(names, shares, strict=True)
        }
        self.space = {name: share * count for name, share in zip(names, shares, strict=True)}
        self.has: dict[str, set[int]] = {name: set() for name in names}
        self._deal()

    def _deal(self) -> None:
        rarest = [(left, label) for label, left in self.left.items()]
        heapq.heapify(rarest)
        while rarest:
            known, label = heapq.heappop(rarest)
            if known != self.left[label]:
                # Units of several classes were dealt out for another one.
                if self.left[label]:
                    heapq.heappush(rarest, (self.left[label], label))
                continue
            for index in self.of_class[label]:
                if index not in self.dealt:
                    self._give(index, self._split_for(label))
        # What is of no class at all goes where there is space.
        for index in range(len(self.units)):
            if index not in self.dealt:
                self._give(index, max(self.names, key=lambda name: self.space[name]))

    def _split_for(self, label: int) -> str:
        """Return the split that needs the class most; one that has none of it while units last."""
        without = [name for name in self.names if label not in self.has[name]]
        if without and self.left[label] <= len(without):
            return without[0]
        # Of equal ones `max` takes the first, which is train.
        return max(self.names, key=lambda name: (self.needs[name][label], self.space[name]))

    def _give(self, index: int, name: str) -> None:
        unit = self.units[index]
        self.dealt[index] = name
        self.space[name] -= len(unit.items)
        self.has[name].update(unit.labels)
        for label, number in unit.labels.items():
            self.left[label] -= 1
            self.needs[name][label] -= number
