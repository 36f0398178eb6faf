"""What crosses the boundary of the frozen part: found if it is stored, else computed.

Every step takes its inputs from here, and every evaluation. Whether something is stored, and at which
cut, changes no byte of what is returned: all of it goes through the one function of `inference`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tlf.data import Use, load_views, make_views, to_input
from tlf.engine.inference import empty_rows

if TYPE_CHECKING:
    from tlf.cache import Entry
    from tlf.data import LoadedSplit
    from tlf.engine.inference import Inference
    from tlf.plugin import Device, Transform


def row_key(digest: str, view: int | None, augmentation_seed: int) -> bytes:
    """Return the key of one view of one image: 32 bytes.

    Args:
        digest: Of the image's content.
        view: Its number; None for the view that evaluation sees.
        augmentation_seed: Draws the random views.
    """
    name = "evaluation" if view is None else f"{augmentation_seed} {view}"
    return hashlib.sha256(f"{digest} {name}".encode()).digest()


@dataclass
class Work:
    """What was done so far.

    Attributes:
        prefix_seconds: In forward passes of what is frozen.
        rows_computed: Views of images that went through the frozen part.
        rows_found: Views of images that were stored.
        bytes_kept: Bytes that were handed to the store.
    """

    prefix_seconds: float = 0.0
    rows_computed: int = 0
    rows_found: int = 0
    bytes_kept: int = 0

    def add(self, other: Work) -> None:
        """Count what was done elsewhere, too.

        Args:
            other: That.
        """
        self.prefix_seconds += other.prefix_seconds
        self.rows_computed += other.rows_computed
        self.rows_found += other.rows_found
        self.bytes_kept += other.bytes_kept

    def since(self, before: Work) -> Work:
        """Return what was done after an earlier state.

        Args:
            before: A copy of that state.
        """
        return Work(
            self.prefix_seconds - before.prefix_seconds,
            self.rows_computed - before.rows_computed,
            self.rows_found - before.rows_found,
            self.bytes_kept - before.bytes_kept,
        )


@dataclass(frozen=True)
class Fetched:
    """What is at hand of some views of images, before the network is asked.

    Attributes:
        keys: Of each view.
        found: Of each whether it was stored.
        stored: Those that were, `(n, …)`; None if there are none.
        views: The others, uint8 `(m, 3, S, S)`; None if there are none.
    """

    keys: Sequence[bytes]
    found: np.ndarray
    stored: torch.Tensor | None
    views: torch.Tensor | None


@dataclass
class Features:
    """Computes what crosses a cut, and keeps it where that is decided.

    Attributes:
        inference: The frozen part, and everything else in evaluation.
        transform: Makes views, and says how they are normalised.
        device: Where the network is.
        augmentation_seed: Draws the random views.
        entries: Where what crosses is stored, by the number of stages before the cut.
        work: What was done so far.
    """

    inference: Inference
    transform: Transform[Any]
    device: Device
    augmentation_seed: int
    entries: Mapping[int, Entry] = field(default_factory=dict)
    work: Work = field(default_factory=Work)

    def compute(
        self, views: torch.Tensor, cuts: Sequence[int], keys: Sequence[bytes]
    ) -> torch.Tensor:
        """Return what crosses the last of some cuts, and store what crosses each that has a store.

        Args:
            views: Uint8 `(n, 3, S, S)`.
            cuts: Numbers of stages, rising, at least one.
            keys: Of each view.
        """
        started = time.perf_counter()
        crossing = self.inputs_of(views)
        before = 0
        for cut in cuts:
            crossing = self.inference.run(crossing, before, cut)
            before = cut
            if cut in self.entries:
                self.entries[cut].add(keys, crossing.cpu())
                self.work.bytes_kept += crossing.nbytes
        if before:
            self.device.synchronize()
            self.work.prefix_seconds += time.perf_counter() - started
            self.work.rows_computed += len(views)
        return crossing

    def inputs_of(self, views: torch.Tensor) -> torch.Tensor:
        """Return what the network gets, float32 `(n, 3, S, S)`, normalised, on the device.

        Args:
            views: Uint8 `(n, 3, S, S)`.
        """
        return to_input(views, self.transform.mean, self.transform.std, self.device)


@dataclass(frozen=True)
class Feed:
    """Makes the inputs of a step, in two halves: one in the background, one where the network is.

    Attributes:
        features: Computes what is not stored.
        cut: Number of stages before the boundary.
        stored: Number of stages before the cut at which things are stored; 0 if nothing is.
    """

    features: Features
    cut: int
    stored: int

    def fetch(
        self,
        split: LoadedSplit,
        indices: Sequence[int],
        views: Sequence[int | None],
        made: Fetched | None = None,
    ) -> Fetched:
        """Return what can be had without the network. May run in the background.

        Args:
            split: Where the images are.
            indices: Places of the images in it.
            views: The view of each: its number, or None for evaluation's.
            made: What the feed of another network has fetched of the same views: they are not made
                again.
        """
        features = self.features
        seed = features.augmentation_seed
        keys: list[bytes] = []
        found = np.zeros(len(indices), dtype=bool)
        stored = None
        if self.stored:
            keys = [row_key(split.digests[i], v, seed) for i, v in zip(indices, views, strict=True)]
            found, stored = features.entries[self.stored].read(keys)
        rest = np.flatnonzero(~found).tolist()
        if not rest:
            return Fetched(keys, found, stored, None)
        if made is not None and made.views is not None and not made.found[rest].any():
            place = np.cumsum(~made.found) - 1
            return Fetched(keys, found, stored, made.views[place[rest]])
        of_rest = load_views(
            split,
            features.transform,
            [indices[row] for row in rest],
            [views[row] for row in rest],
            seed,
        )
        return Fetched(keys, found, stored, of_rest)

    def crossing(self, fetched: Fetched) -> torch.Tensor:
        """Return what crosses the boundary, `(n, …)`, on the device.

        Args:
            fetched: What `fetch` returned.
        """
        parts = []
        features = self.features
        if fetched.stored is not None:
            features.work.rows_found += len(fetched.stored)
            parts.append(self._onward(fetched.stored.to(features.device.torch_device)))
        if fetched.views is not None:
            missing = np.flatnonzero(~fetched.found).tolist()
            keys = [fetched.keys[row] for row in missing] if fetched.keys else []
            cuts = sorted({self.stored or self.cut, self.cut})
            parts.append(features.compute(fetched.views, cuts, keys))
        if len(parts) == 1:
            return parts[0]
        whole = empty_rows(parts[0], len(fetched.found))
        mask = torch.from_numpy(fetched.found).to(whole.device)
        whole[mask], whole[~mask] = parts
        return whole

    def images(self, fetched: Fetched) -> torch.Tensor:
        """Return what the network gets, float32 `(n, 3, S, S)`, normalised, on the device.

        Args:
            fetched: What `fetch` returned where nothing is stored.
        """
        assert fetched.views is not None
        assert fetched.stored is None
        return self.features.inputs_of(fetched.views)

    def crossing_of(self, images: torch.Tensor) -> torch.Tensor:
        """Return what crosses the boundary, `(n, …)`, of images that nobody has seen before.

        Args:
            images: Normalised, float32 `(n, 3, S, S)`, on the device.
        """
        features, started = self.features, time.perf_counter()
        if features.device.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        if not self.cut:
            return images
        crossing = features.inference.run(images, 0, self.cut)
        features.device.synchronize()
        features.work.prefix_seconds += time.perf_counter() - started
        features.work.rows_computed += len(images)
        return crossing

    def _onward(self, stored: torch.Tensor) -> torch.Tensor:
        """Return what crosses the boundary, of what was stored at the cut before it."""
        if self.stored == self.cut:
            return stored
        work, started = self.features.work, time.perf_counter()
        crossing = self.features.inference.run(stored, self.stored, self.cut)
        self.features.device.synchronize()
        work.prefix_seconds += time.perf_counter() - started
        return crossing


#: How many chunks are computed together while images are read. The threads that decode fall asleep
#: meanwhile, once they are a few images ahead: on few cores, all would only be in each other's way.
CHUNKS_TOGETHER = 8


class Filling(Use):
    """Computes ahead, in the one pass over the images, what the steps are going to ask for.

    Args:
        features: Computes and stores.
        wanted: Says of a split and an image's digest which views are wanted at which cuts.
        always: Whether every image is needed, stored or not.
    """

    def __init__(
        self,
        features: Features,
        wanted: Callable[[str, str], Mapping[int | None, frozenset[int]]],
        *,
        decoded: Entry | None,
        always: bool,
    ) -> None:
        self._features = features
        self._wanted = wanted
        self._decoded = decoded
        self._always = always
        self._waiting: dict[tuple[int, ...], list[tuple[bytes, torch.Tensor]]] = {}

    def needed(self, split: str, digest: str) -> bool:
        """Say whether an image has to be decoded. May run in any thread.

        Args:
            split: Name of the split.
            digest: Of the image's content.
        """
        if self._always:
            return True
        if self._decoded is not None and not self._decoded.find([bytes.fromhex(digest)])[0]:
            return True
        return any(cuts for _, _, cuts in self._missing(split, digest))

    def _missing(self, split: str, digest: str) -> list[tuple[int | None, bytes, tuple[int, ...]]]:
        """Return the views that are wanted and not stored, with their keys and cuts."""
        features = self._features
        missing = []
        for view, cuts in self._wanted(split, digest).items():
            key = row_key(digest, view, features.augmentation_seed)
            left = tuple(sorted(c for c in cuts if not features.entries[c].find([key])[0]))
            if left:
                missing.append((view, key, left))
        return missing

    def prepare(self, split: str, digest: str, image: torch.Tensor) -> list[Any]:
        """Return the views that are wanted and not stored. May run in any thread.

        Args:
            split: Name of the split.
            digest: Of the image's content.
            image: Uint8 `(3, H, W)`.
        """
        features = self._features
        missing = self._missing(split, digest)
        if not missing:
            return []
        count = len(missing)
        made = make_views(
            image.expand(count, -1, -1, -1),
            features.transform,
            [digest] * count,
            [view for view, _, _ in missing],
            features.augmentation_seed,
        )
        return [(key, cuts, made[row]) for row, (_, key, cuts) in enumerate(missing)]

    def take(self, digest: str, image: torch.Tensor, prepared: list[Any]) -> None:
        """Store an image, and compute what is wanted of it once some chunks have come together.

        Args:
            digest: Of the image's content.
            image: Uint8 `(3, H, W)`.
            prepared: What `prepare` returned.
        """
        if self._decoded is not None:
            self._decoded.add([bytes.fromhex(digest)], image[None])
        for key, cuts, view in prepared:
            waiting = self._waiting.setdefault(cuts, [])
            waiting.append((key, view))
            if len(waiting) == CHUNKS_TOGETHER * self._features.inference.chunk_size:
                self._compute(cuts)

    def finish(self) -> None:
        """Compute what is left, and write everything."""
        for cuts in list(self._waiting):
            self._compute(cuts)
        for entry in self._features.entries.values():
            entry.flush()
        if self._decoded is not None:
            self._decoded.flush()

    def _compute(self, cuts: tuple[int, ...]) -> None:
        waiting = self._waiting.pop(cuts)
        views = torch.stack([view for _, view in waiting])
        self._features.compute(views, cuts, [key for key, _ in waiting])
