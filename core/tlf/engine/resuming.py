"""Whether a run that was stopped can go on with what is here now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.record import Change, Record
from tlf.errors import UsageError

if TYPE_CHECKING:
    from tlf.planning import RunPlan

#: Without these a run cannot end as it would have ended. Other changes are only told.
_REFUSED = ("weights", "data", "plugin", "tlf")

#: What decides the numbers that a device computes.
_DEVICE = ("torch_device", "precision", "channels_last", "chunk_size")


def refuse_other_spec(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a spec is the one that a run began with.

    Args:
        folder: The run directory.
        then: The values of its spec.
        now: The values of the other.

    Raises:
        UsageError: They differ; the error shows where.
    """
    differences = list(_differences(then, now))
    if differences:
        raise _refused(folder, differences)


def refuse_other_device(record: Record, plan: RunPlan) -> None:
    """Check that a run goes on in the same precision on the same kind of device.

    Args:
        record: Of the run.
        plan: What would be done now.

    Raises:
        UsageError: It would not.
    """
    then = record.plan.get("device")
    then = then if isinstance(then, Mapping) else {}
    differences = [
        f"the device's {name}: {then[name]} then, {plan.device[name]} now"
        for name in _DEVICE
        if name in then and then[name] != plan.device[name]
    ]
    if differences:
        raise _refused(record.folder, differences)


def refuse_changes(record: Record, environment: Mapping[str, Any]) -> list[Change]:
    """Check that a run finds what it began with, and return what is another but need not matter.

    Args:
        record: Of the run.
        environment: What `environment.json` would hold now.

    Raises:
        UsageError: Weights, images or plugins are others.
    """
    changes = record.changes(environment)
    refused = [str(change) for change in changes if change.kind in _REFUSED]
    if refused:
        raise _refused(record.folder, refused)
    return changes


def _refused(folder: Path, differences: Sequence[str]) -> UsageError:
    lines = [f"the run in `{folder}` cannot go on: it began with something else"]
    lines += [f"  {difference}" for difference in differences]
    return UsageError(
        "\n".join(lines),
        hint="put it back as it was; or begin a new run, which has a directory of its own",
    )


def _differences(then: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield a line for each place where two objects from JSON differ."""
    for key in dict.fromkeys((*then, *now)):
        before, after = then.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{path}{key}.")
        elif _shown(then, key) != _shown(now, key):
            yield f"{path}{key}: {_shown(then, key)} then, {_shown(now, key)} now"


def _shown(values: Mapping[str, Any], key: str) -> str:
    return f"`{json.dumps(values[key], ensure_ascii=False)}`" if key in values else "nothing"
