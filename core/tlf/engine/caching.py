"""The boundary cache as one run uses it: what it keeps, under which descriptions, and where."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tlf.cache import Cache, Entry, FileStamp, Notes, default_directory
from tlf.data import view_of_epoch
from tlf.engine import inference
from tlf.engine.environment import describe_part, library_versions
from tlf.engine.features import row_key
from tlf.engine.files import file_digest
from tlf.errors import UsageError
from tlf.planning import AHEAD_VIEWS, StepCache, Usage
from tlf.plugin import stages
from tlf.plugin.stages import splits_kept_in
from tlf.spec.paths import resolve_path

if TYPE_CHECKING:
    from tlf.engine.prepare import Job
    from tlf.planning import PlannedStep, RunPlan
    from tlf.plugin import BackboneFamily
    from tlf.registry import Registry
    from tlf.spec.model import CacheSpec

#: Of what is stored. Counts up when the same description would mean other bytes.
FORMAT_VERSION = 1

#: How many images are decoded before what is known of their files is written down.
_NOTED_AT_ONCE = 1000


class FileMemory:
    """Remembers the digests of files' contents, in the cache.

    Args:
        cache: Where.
    """

    def __init__(self, cache: Cache) -> None:
        self._digests = cache.digests
        self._new: list[tuple[FileStamp, bytes]] = []

    def recall(self, paths: Sequence[Path]) -> list[str | None]:
        """Return the digest of each file's content; None if it is not known or has changed.

        Args:
            paths: The files.
        """
        stamps = [_stamp(path) for path in paths]
        known = iter(self._digests.get([stamp for stamp in stamps if stamp is not None]))
        found = [None if stamp is None else next(known) for stamp in stamps]
        return [None if digest is None else digest.hex() for digest in found]

    def remember(self, path: Path, stat: os.stat_result, digest: str) -> None:
        """Remember the digest of a file's content.

        Args:
            path: The file.
            stat: What it was before it was read.
            digest: The sha256 of what was read, in hexadecimal.
        """
        absolute = os.path.abspath(path)  # noqa: PTH100 - links stay what they are
        stamp = FileStamp(absolute, stat.st_size, stat.st_mtime_ns, stat.st_ino)
        self._new.append((stamp, bytes.fromhex(digest)))
        if len(self._new) >= _NOTED_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write down what is new."""
        self._digests.put(self._new)
        self._new.clear()


class StoredImages:
    """Decoded images, in the cache.

    Args:
        entry: Where.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def read(self, digests: Sequence[str]) -> tuple[np.ndarray, torch.Tensor | None]:
        """Return which images are there, and those, uint8 `(n, 3, H, W)`; None if there are none.

        Args:
            digests: Of their contents.
        """
        return self.entry.read([bytes.fromhex(digest) for digest in digests])

    def add(self, digests: Sequence[str], images: torch.Tensor) -> None:
        """Keep images.

        Args:
            digests: Of their contents.
            images: Uint8 `(n, 3, H, W)`.
        """
        self.entry.add([bytes.fromhex(digest) for digest in digests], images)


class KeptSplits:
    """Remembers how networks are split into stages, in the cache.

    Args:
        notes: Where.
        registry: Knows whose code creates a network.
    """

    def __init__(self, notes: Notes, registry: Registry) -> None:
        self._notes = notes
        self._registry = registry

    def recall(self, family: BackboneFamily[Any], model: str, image_size: int) -> str | None:
        """Return what was kept of a model; None if nothing was.

        Args:
            family: Creates it.
            model: One of the family's models.
            image_size: Side of the square input image, in pixels.
        """
        about = self._about(family, model, image_size)
        return None if about is None else self._notes.get(about)

    def remember(self, family: BackboneFamily[Any], model: str, image_size: int, text: str) -> None:
        """Keep what was found out about a model.

        Args:
            family: Creates it.
            model: One of the family's models.
            image_size: Side of the square input image, in pixels.
            text: What was found out.
        """
        about = self._about(family, model, image_size)
        if about is not None:
            self._notes.put(about, text)

    def _about(
        self, family: BackboneFamily[Any], model: str, image_size: int
    ) -> dict[str, Any] | None:
        target = f"{type(family).__module__}:{type(family).__qualname__}"
        for entry in self._registry.entries("backbone-family"):
            if entry.declaration.target == target:
                name = entry.declaration.name
                return {
                    "what": "split",
                    "part": describe_part(self._registry, "backbone-family", name),
                    "options": family.options.model_dump(mode="json"),
                    "model": model,
                    "image_size": image_size,
                    "libraries": library_versions(),
                    "code": _own_code(),
                }
        return None


def directory_of(spec: CacheSpec, folder: Path) -> Path | None:
    """Return the cache's folder; None if nothing is to be kept.

    Args:
        spec: The spec's section.
        folder: What relative paths in it start from.

    Raises:
        UsageError: The spec names none, and there is no usual place.
    """
    if spec.mode == "off":
        return None
    if spec.directory is None:
        return default_directory()
    return resolve_path(folder, spec.directory, "cache.directory")


@contextmanager
def splits_kept(spec: CacheSpec, folder: Path, registry: Registry) -> Iterator[None]:
    """Look in the cache for how networks are split, and keep there what is found out.

    Args:
        spec: The spec's section.
        folder: What relative paths in it start from.
        registry: The installed plugins.
    """
    try:
        directory = directory_of(spec, folder)
    except UsageError:
        # Whoever opens the cache says so.
        directory = None
    kept = None if directory is None else KeptSplits(Notes(directory / "notes"), registry)
    with splits_kept_in(kept):
        yield


def open_cache(spec: CacheSpec, folder: Path, warn: Callable[[str], None]) -> Cache | None:
    """Return the cache that a spec asks for; None if it asks for none, or there is no place for one.

    Args:
        spec: The spec's section.
        folder: What relative paths in it start from.
        warn: Told what is wrong with the cache.
    """
    try:
        directory = directory_of(spec, folder)
    except UsageError as error:
        warn(f"nothing is kept: {error.message}")
        return None
    return None if directory is None else Cache(directory, int(spec.max_gb * 1e9), warn)


def describe_features(
    job: Job, registry: Registry, cut: int, digests: Mapping[str, str]
) -> dict[str, Any]:
    """Return what makes the rows at a cut: two runs with one description find each other's.

    Args:
        job: The planned run.
        registry: The installed plugins.
        cut: How many stages lie before the cut.
        digests: Of the parameters and buffers of those stages, by name.
    """
    plan = job.plan
    backbone = plan.backbone["name"]
    stage = plan.stages[cut - 1]
    last = cut == len(plan.stages) - 1
    where = "pooled" if last else f"after {stage['name']}"
    return {
        "what": f"features of {backbone}, {where}, {plan.device['precision']}",
        "format_version": FORMAT_VERSION,
        "backbone": {
            **plan.backbone,
            "part": describe_part(registry, *_part(job, "backbone-family")),
            "stages": [one["name"] for one in plan.stages[:cut]],
            "shape": list(stage["output_shape"]),
            "state": _digest_of(f"{name} {digest}" for name, digest in sorted(digests.items())),
        },
        "transforms": _describe_transform(job, registry),
        # Results may differ in the last bit with any of these.
        "device": {
            **{
                name: plan.device[name]
                for name in ("precision", "channels_last", "chunk_size", "threads")
            },
            "hardware": _hardware(job.device.torch_device),
            "part": describe_part(registry, *_part(job, "device")),
        },
        "libraries": library_versions(),
        "code": _own_code(),
    }


def describe_images(job: Job, registry: Registry) -> dict[str, Any]:
    """Return what makes decoded images.

    Args:
        job: The planned run.
        registry: The installed plugins.
    """
    return {
        "what": f"images as `{job.plan.transforms['name']}` loads them",
        "format_version": FORMAT_VERSION,
        "transforms": _describe_transform(job, registry),
        "libraries": library_versions(),
    }


def _describe_transform(job: Job, registry: Registry) -> dict[str, Any]:
    return {
        **job.plan.transforms,
        "part": describe_part(registry, *_part(job, "transform")),
    }


def _part(job: Job, kind: str) -> tuple[str, str]:
    return next(part for part in job.parts if part[0] == kind)


def _hardware(device: torch.device) -> str:
    if device.type == "cpu":
        known = sorted(
            name for name, there in torch.cpu.get_capabilities().items() if there is True
        )
        settings = (
            torch._C._get_mkldnn_enabled(),
            torch.get_float32_matmul_precision(),
            os.environ.get("ONEDNN_MAX_CPU_ISA"),
        )
        return f"cpu {torch.backends.cpu.get_cpu_capability()} {known} {settings}"
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return device.type


@cache
def _own_code() -> str:
    """Return a digest of the code that splits networks and runs what is frozen."""
    files = [Path(inference.__file__), *sorted(Path(stages.__file__).parent.glob("*.py"))]
    return _digest_of(f"{file.name} {file_digest(file)}" for file in files)


def _digest_of(lines: Iterator[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _stamp(path: Path) -> FileStamp | None:
    try:
        return FileStamp.of(path)
    except OSError:
        return None


def usage_of(plan: RunPlan, step: PlannedStep, cut: int) -> Usage:
    """Return how often a step looks at how many images.

    Args:
        plan: The run's plan.
        step: One of its steps.
        cut: How many stages are frozen.
    """
    images = plan.data["images"]
    views = plan.training["views"]
    seen = epochs_of(plan, step)
    count = 1 if views == "none" else len(seen) if views == "every-epoch" else views
    views = min(count, len(seen))
    last = step == plan.steps[-1]
    once = images.get(plan.metrics_on, 0) if last and plan.metrics_on != "validation" else 0
    return Usage(
        frozen=cut,
        # A solved head looks at every view, once to choose a setting and once with the one chosen.
        epochs=step.epochs if step.kind == "train" else 2 * views,
        train=images["train"],
        views=views,
        evaluated=images["validation"],
        once=once,
    )


def epochs_of(plan: RunPlan, step: PlannedStep) -> range:
    """Return the epochs whose views a step looks at: its own; for a solved head, the budget's first.

    Args:
        plan: The run's plan.
        step: One of its steps.
    """
    if step.kind != "train":
        return range(min(plan.training["epochs"], AHEAD_VIEWS))
    return range(step.first_epoch, step.first_epoch + step.epochs)


def views_of(plan: RunPlan, step: PlannedStep, digest: str) -> set[int | None]:
    """Return the views of a training image that a step looks at.

    Args:
        plan: The run's plan.
        step: One of its steps.
        digest: Of the image's content.
    """
    views = plan.training["views"]
    return {view_of_epoch(views, plan.seed, digest, epoch) for epoch in epochs_of(plan, step)}


class Wanted:
    """Says which views of an image the steps of a run ask for at which cuts, as far as made ahead.

    Args:
        plan: The run's plan, with what each step keeps.
        usable: Of each step, whether what it keeps can be computed before the run trains anything.
    """

    def __init__(self, plan: RunPlan, usable: Sequence[bool]) -> None:
        self._plan = plan
        self._steps = [
            (step, step.cache.cut)
            for step, ahead in zip(plan.steps, usable, strict=True)
            if step.cache.level == "features" and ahead
        ]

    def __call__(self, split: str, digest: str) -> dict[int | None, frozenset[int]]:
        """Return the cuts at which each view is wanted.

        Args:
            split: Name of the split.
            digest: Of the image's content.
        """
        found: dict[int | None, set[int]] = {}
        for step, cut in self._steps:
            for view in self._views(step, split, digest):
                found.setdefault(view, set()).add(cut)
        return {view: frozenset(cuts) for view, cuts in found.items()}

    def _views(self, step: PlannedStep, split: str, digest: str) -> set[int | None]:
        plan = self._plan
        if split == "validation":
            return {None}
        if split != "train":
            return {None} if step == plan.steps[-1] and split == plan.metrics_on else set()
        epochs = epochs_of(plan, step)
        views = plan.training["views"]
        if isinstance(views, int) and views <= AHEAD_VIEWS:
            # Each of K views comes once in K epochs, so these have all of them.
            epochs = epochs[:AHEAD_VIEWS]
        elif views != "none":
            epochs = range(epochs.start, min(epochs.stop, AHEAD_VIEWS))
        return {view_of_epoch(views, plan.seed, digest, epoch) for epoch in epochs}


def all_stored(
    wanted: Wanted,
    entries: Mapping[int, Entry],
    digests: Mapping[str, Sequence[str | None]],
    augmentation_seed: int,
) -> bool:
    """Say whether everything that is wanted is stored already.

    Args:
        wanted: What is.
        entries: Where, by cut.
        digests: Of the contents of each split's images; None where it is not known.
        augmentation_seed: Draws the views.
    """
    keys: dict[int, list[bytes]] = {cut: [] for cut in entries}
    for split, known in digests.items():
        for digest in known:
            if digest is None:
                return False
            for view, cuts in wanted(split, digest).items():
                key = row_key(digest, view, augmentation_seed)
                for cut in cuts:
                    keys[cut].append(key)
    return all(bool(entries[cut].find(of_cut).all()) for cut, of_cut in keys.items() if of_cut)


def with_caches(plan: RunPlan, caches: Sequence[StepCache]) -> RunPlan:
    """Return a plan with what each step keeps.

    Args:
        plan: The plan.
        caches: Of each step.
    """
    steps = [replace(step, cache=cache) for step, cache in zip(plan.steps, caches, strict=True)]
    return replace(plan, steps=tuple(steps))
