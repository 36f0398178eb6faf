"""What a run was made with: versions, plugins, and digests of data and weights."""

from __future__ import annotations

import hashlib
import platform
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.files import file_digest
from tlf.engine.network import weights_path
from tlf.plugin.rules import OWN_DISTRIBUTION

if TYPE_CHECKING:
    from tlf.data import Loaded
    from tlf.engine.prepare import Job
    from tlf.registry import Entry, Registry

_LIBRARIES = (
    "tlf",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pillow",
    "scikit-learn",
    "safetensors",
)


def describe_environment(job: Job, registry: Registry) -> dict[str, Any]:
    """Return what `environment.json` holds, but for the images. Reads the weights file once.

    Args:
        job: The planned run.
        registry: The installed plugins.
    """
    weights = weights_path(job)
    return {
        "schema_version": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **describe_machine(),
        "threads": job.plan.device["threads"],
        "plugins": [describe_part(registry, kind, name) for kind, name in job.parts],
        "weights": None
        if weights is None
        else {"file": str(weights), "sha256": file_digest(weights)},
    }


def describe_contents(loaded: Loaded) -> dict[str, Any]:
    """Return what `environment.json` holds of the images: of each split, how many and digests.

    Args:
        loaded: The images.
    """
    return {
        split: {
            "images": len(part.items),
            "digest": _digest_of(part.digests),
            "labels": _digest_of(tuple(f"{item.label} {item.id}" for item in part.items)),
        }
        for split, part in loaded.splits.items()
    }


def describe_machine() -> dict[str, Any]:
    """Return what can be said of this machine before a run is planned."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "libraries": library_versions(),
    }


def library_versions() -> dict[str, str]:
    """Return the version of each library that decides results."""
    return {name: metadata.version(name) for name in _LIBRARIES}


def describe_part(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    """Return who provides a part of a run: its plugin, with version and a digest of its code.

    Args:
        registry: The installed plugins.
        kind: Kind of the part.
        name: Its name.
    """
    entry = registry.get(kind, name)
    return {
        "kind": kind,
        "name": name,
        "plugin": entry.plugin.name,
        "distribution": entry.plugin.distribution,
        "version": entry.plugin.version,
        "code_digest": _code_digest(entry),
    }


def _code_digest(entry: Entry) -> str | None:
    """Return a digest of a plugin's source files, or None if they are nowhere to be found.

    All of them in its package, for a helper decides results just as the target does.
    """
    file = _file_of_code(entry)
    if file is None or not file.is_file():
        return None
    if file.name != "__init__.py":
        return _digest_of((f"{file.name} {file_digest(file)}",))
    files = sorted((path.relative_to(file.parent).as_posix(), path) for path in _sources(file))
    return _digest_of(tuple(f"{name} {file_digest(path)}" for name, path in files))


def _file_of_code(entry: Entry) -> Path | None:
    """Return the file of the outermost package or module that is the plugin's own, if it has one."""
    module = entry.declaration.target.partition(":")[0]
    parts = module.split(".")
    # The top package of tlf's own plugins holds all of them; each has one of its own in it.
    own = entry.plugin.value.partition(":")[0].split(".")
    is_below = entry.plugin.distribution == OWN_DISTRIBUTION and parts[: len(own)] == own
    for length in range(len(own) if is_below else 1, len(parts) + 1):
        # A namespace package has no file, and others may be in it: the plugin's own is below.
        file = getattr(sys.modules.get(".".join(parts[:length])), "__file__", None)
        if file:
            return Path(file)
    return None


def _sources(init: Path) -> Iterator[Path]:
    return (path for path in init.parent.rglob("*.py") if path.is_file())


def _digest_of(parts: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
