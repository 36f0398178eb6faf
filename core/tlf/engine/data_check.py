"""The check of a spec's data on request: every image is looked at, and nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlf.data.examination import Examination, examine
from tlf.engine.prepare import prepare
from tlf.engine.remembered import splits_kept
from tlf.registry import check, load_registry
from tlf.spec import load_raw


def check_data(
    spec: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Examination:
    """Look at every image that a spec names, and say what is wrong or odd. Trains nothing.

    Args:
        spec: A JSON file, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`.
        progress: Called with the number of images looked at so far, and that of all.

    Raises:
        TlfError: The spec or a plugin cannot be used, or the data cannot even be listed.
    """
    raw = load_raw(spec, overrides)
    registry = load_registry()
    checked = check(raw, registry)
    # As a run would have it: what a strategy holds out of train is a split of its own.
    with splits_kept(checked.cache, raw.folder, registry):
        job = prepare(checked, raw.folder, registry)
    return examine(
        job.dataset,
        image_size=job.transform.size,
        unreadable=checked.data.unreadable,
        leaks=checked.data.leaks,
        workers=checked.training.workers,
        progress=progress,
    )
