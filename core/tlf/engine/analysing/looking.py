"""Images that a run saw, shown to its network once more."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch

from tlf.data import labels_of
from tlf.engine.analysing.reading import read_again
from tlf.engine.metrics import Evaluation

if TYPE_CHECKING:
    from tlf.engine.finished import FinishedNetwork
    from tlf.plugin import Item

#: How many chunks are looked at together.
CHUNKS = 4

GONE = "it is not there any more"
CHANGED = "it has changed"


@dataclass(frozen=True)
class Looked:
    """What came of looking.

    Attributes:
        places: Of the images that are as they were, in the list of those to look at.
        evaluation: What the network says about them; None if there are none.
        kept: Those of the places whose features are kept.
        features: These, float32 `(len(kept), width)`; None if there are none.
        lost: Ids of the other images, each with what has happened to it.
        digest: Of the content of all, as `environment.json` holds it of a split.
    """

    places: Sequence[int]
    evaluation: Evaluation | None
    kept: Sequence[int]
    features: torch.Tensor | None
    lost: Sequence[tuple[str, str]]
    digest: str


def look_again(
    network: FinishedNetwork,
    items: Mapping[str, Item],
    ids: Sequence[str],
    digests: Sequence[str | None],
    *,
    keep: Collection[int] = (),
) -> Looked:
    """Show images to a network that it has seen before.

    Args:
        network: The network.
        items: The images that are there now, by id.
        ids: Of the images to look at.
        digests: Of the content that each had; None where that is not known.
        keep: Places in `ids` of the images whose features are wanted.
    """
    found = _Found(items, ids, digests)
    logits, features, kept = [], [], []
    images = found.read(network)
    while chunk := list(islice(images, CHUNKS * network.inference.chunk_size)):
        views = network.views([image for _, image in chunk])
        crossing, said = network.run(network.inputs(views))
        logits.append(said.cpu())
        rows = [row for row, (place, _) in enumerate(chunk) if place in keep]
        kept += [chunk[row][0] for row in rows]
        features.append(crossing.float().cpu()[rows])
    places = found.places
    labels = labels_of([items[ids[place]] for place in places], len(network.classes), network.task)
    return Looked(
        places=places,
        evaluation=Evaluation(torch.cat(logits), labels) if logits else None,
        kept=kept,
        features=torch.cat(features) if kept else None,
        lost=found.lost,
        digest=hashlib.sha256("\n".join(found.contents).encode()).hexdigest(),
    )


class _Found:
    """Reads images again, and sorts out those that are not as they were.

    Attributes:
        places: Of those that are, in the list of all.
        lost: Ids of the others, each with what has happened to it.
        contents: Digests of what was read.
    """

    def __init__(
        self, items: Mapping[str, Item], ids: Sequence[str], digests: Sequence[str | None]
    ) -> None:
        self._items = items
        self._ids = ids
        self._digests = digests
        self.places: list[int] = []
        self.contents: list[str] = []
        self.lost = [(one, GONE) for one in ids if one not in items]

    def read(self, network: FinishedNetwork) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield place and image, uint8 `(3, H, W)`, of each that is as it was."""
        there = [place for place, one in enumerate(self._ids) if one in self._items]
        seen = read_again([self._items[self._ids[place]] for place in there], network.transform)
        for place, image in zip(there, seen, strict=True):
            if isinstance(image, str):
                self.lost.append((self._ids[place], image))
                continue
            self.contents.append(image.digest)
            if self._digests[place] not in (None, image.digest):
                self.lost.append((self._ids[place], CHANGED))
                continue
            self.places.append(place)
            yield place, image.image
