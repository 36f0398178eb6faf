"""What a run was made with: versions, plugins, and digests of data and weights."""

from __future__ import annotations

import hashlib
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.files import file_digest
from tlf.engine.network import weights_path

if TYPE_CHECKING:
    from tlf.data import Loaded
    from tlf.engine.prepare import Job
    from tlf.registry import Registry

_LIBRARIES = ("tlf", "torch", "torchvision", "numpy", "pillow", "scikit-learn", "safetensors")


def describe_environment(job: Job, loaded: Loaded, registry: Registry) -> dict[str, Any]:
    """Return what `environment.json` holds.

    Args:
        job: The planned run.
        loaded: The images.
        registry: The installed plugins.
    """
    weights = weights_path(job)
    return {
        "schema_version": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
        "plugins": [_describe_part(registry, kind, name) for kind, name in job.parts],
        "data": {
            split: {"images": len(part.items), "digest": _digest_of(part.digests)}
            for split, part in loaded.splits.items()
        },
        "weights": None
        if weights is None
        else {"file": str(weights), "sha256": file_digest(weights)},
    }


def _describe_part(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    entry = registry.get(kind, name)
    module = entry.declaration.target.partition(":")[0]
    return {
        "kind": kind,
        "name": name,
        "plugin": entry.plugin.name,
        "distribution": entry.plugin.distribution,
        "version": entry.plugin.version,
        "code_digest": _code_digest(module),
    }


def _code_digest(module: str) -> str:
    """Digest of the source files in the folder of a module, or of the module's file alone."""
    file = Path(str(sys.modules[module].__file__))
    package = sys.modules[module.rpartition(".")[0]] if "." in module else None
    files = sorted(file.parent.glob("*.py")) if package is not None else [file]
    return _digest_of(tuple(f"{path.name} {file_digest(path)}" for path in files))


def _digest_of(parts: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
