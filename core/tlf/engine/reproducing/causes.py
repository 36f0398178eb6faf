"""What may have made two runs of one spec differ: what has changed, likeliest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tlf.engine.artifact import TENSORS
from tlf.engine.record import Change
from tlf.engine.reproducing.differences import FirstDifference, differing_values
from tlf.engine.reproducing.results import METRICS, PREDICTIONS
from tlf.plugin.rules import OWN_DISTRIBUTION

if TYPE_CHECKING:
    from tlf.engine.record import Record

#: What a difference in the very first number may come from, and what a later one: likeliest first.
_AT_ONCE = ("weights", "data", "plan", "plugin", "tlf", "library", "machine")
_LATER = ("plugin", "plan", "tlf", "library", "machine", "data", "weights")
#: The same for one as small as another order of additions makes it.
_AT_ONCE_SMALL = ("weights", "data", "machine", "library", "tlf", "plugin", "plan")
_LATER_SMALL = ("machine", "library", "tlf", "plugin", "plan", "data", "weights")

#: Of a plan: what is decided by a clock, said elsewhere, or changes no number.
_NOT_COMPARED = ("cache", "data", "batches_per_epoch", "name")
_NOT_OF_A_DEVICE = ("reason", "threads")


def plan_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return what has become of the choices that a spec leaves open: the first of each section.

    Args:
        then: What `plan.json` of the run holds.
        now: What it holds of the run that was made of it.
    """
    sections: dict[str, list[tuple[str, Any, Any]]] = {}
    for found in differing_values(_choices(then), _choices(now)):
        sections.setdefault(found[0].partition(".")[0], []).append(found)
    return [_first_of(section) for section in sections.values()]


def _first_of(section: Sequence[tuple[str, Any, Any]]) -> Change:
    path, before, after = section[0]
    more = f" and {len(section) - 1} more" if len(section) > 1 else ""
    return Change("plan", f"`{path}`{more} of the plan", _shown(before), _shown(after))


def _choices(plan: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in plan.items() if name not in _NOT_COMPARED}
    # A run of an earlier version says nothing of it.
    device = {"deterministic": False, **plan["device"]}
    kept["device"] = {k: v for k, v in device.items() if k not in _NOT_OF_A_DEVICE}
    kept["training"] = {k: v for k, v in plan["training"].items() if k != "workers"}
    kept["steps"] = [{k: v for k, v in step.items() if k != "cache"} for step in plan["steps"]]
    return kept


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def ordered(
    changes: Sequence[Change],
    first: FirstDifference | None,
    metrics_on: str,
    *,
    is_small: bool = False,
) -> list[Change]:
    """Return changes, the one that explains a difference best first.

    Args:
        changes: What has changed.
        first: The first number of `metrics.jsonl` that differs; None if only predictions do.
        metrics_on: The split that predictions are of.
        is_small: Whether all differences are as small as rounding.
    """
    at_once = first is None or first.line == 1
    split = metrics_on if first is None else first.field.partition(".")[0]
    is_small = is_small if first is None else first.is_rounding
    if at_once:
        kinds = _AT_ONCE_SMALL if is_small else _AT_ONCE
    else:
        kinds = _LATER_SMALL if is_small else _LATER

    def rank(change: Change) -> int:
        known = split in ("train", "validation", "test")
        if change.kind == "data" and known and f"`{split}`" not in change.what:
            # Images of another split explain nothing here.
            return len(kinds)
        return kinds.index(change.kind)

    return sorted(changes, key=rank)


def changed_afterwards(
    differing: frozenset[str], changes: Sequence[Change], *, is_small: bool
) -> str | None:
    """Return what to say of a file that was changed after the run; None if none was.

    Each of the files is made of the same weights, so that one alone differs by rounding at most.

    Args:
        differing: Names of the files that hold other numbers.
        changes: What has changed.
        is_small: Whether all differences are as small as rounding.
    """
    if is_small:
        return None
    if differing == {TENSORS}:
        name, others = TENSORS, "metrics and predictions, which its weights gave,"
    elif differing == {METRICS} and not changes:
        name, others = METRICS, "weights and predictions"
    elif differing == {PREDICTIONS} and not changes:
        name, others = PREDICTIONS, "metrics and weights"
    else:
        return None
    return f"`{name}` was changed after the run: {others} are the same in every digit"


def what_is_left(record: Record) -> Iterator[str]:
    """Yield what may make runs differ though nothing in their record has changed.

    Args:
        record: Of the run.
    """
    for part in record.environment["plugins"]:
        if part["distribution"] != OWN_DISTRIBUTION:
            yield (
                f"the {part['kind']} `{part['name']}` ({part['distribution']} {part['version']}) "
                "may draw from a generator of its own, or depend on what no record holds"
            )
    device = record.plan["device"]
    if not device.get("deterministic", False):
        where = device["torch_device"]
        yield (
            f"operations on `{where}` that do not give the same bytes each time: "
            "`device.options.deterministic` finds and refuses them"
        )
    yield "what no record holds: the processor's model, environment variables, another library"
