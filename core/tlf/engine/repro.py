"""Running a finished run again from its own record, and saying whether it is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from tlf.engine.artifact import TENSORS
from tlf.engine.directory import temporary_folder
from tlf.engine.environment import describe_machine
from tlf.engine.files import file_digest
from tlf.engine.listener import Listener
from tlf.engine.model import BACKBONE_PREFIX
from tlf.engine.pages import add_page
from tlf.engine.parts import build_backbone, make_family
from tlf.engine.record import Change, Record, read_record
from tlf.engine.reproducing.causes import (
    changed_afterwards,
    ordered,
    plan_changes,
    what_is_left,
)
from tlf.engine.reproducing.differences import (
    FirstDifference,
    PredictionsDifference,
    StageDifference,
    differing_lines,
    first_difference,
    prediction_differences,
    weight_differences,
)
from tlf.engine.reproducing.results import (
    COMPARED,
    METRICS,
    PREDICTIONS,
    Results,
    read_results,
)
from tlf.engine.run import Run, run_raw
from tlf.errors import (
    DataError,
    PluginError,
    RunInterrupted,
    SpecError,
    TlfError,
    UsageError,
    WeightsError,
)
from tlf.registry import load_registry
from tlf.spec import RawSpec

Verdict = Literal["same", "same numbers", "different"]


@dataclass(frozen=True)
class Reproduction:
    """What came of running a run again.

    Attributes:
        run: Directory of the run.
        directory: Directory of the run that was made of it, or None if it was not kept.
        verdict: `same` if metrics, weights and predictions are the same to the last byte; `same
            numbers` if only their files differ; else `different`.
        lines: How many lines of `metrics.jsonl` there are, of the two the most.
        differing_lines: How many of them differ.
        first: The first number of them that differs.
        stages: Stages with weights that differ.
        predictions: How predictions differ.
        metrics: What the run reported, and what was reported now: two numbers by name.
        changes: What has changed since the run, likeliest to explain the difference first.
        causes: What may have made the two differ, likeliest first; none if they are the same.
    """

    run: Path
    directory: Path | None
    verdict: Verdict
    lines: int
    differing_lines: int
    first: FirstDifference | None
    stages: tuple[StageDifference, ...]
    predictions: PredictionsDifference
    metrics: Mapping[str, tuple[float | None, float | None]]
    changes: tuple[Change, ...]
    causes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether every number is the same."""
        return self.verdict != "different"

    @property
    def frozen_that_differ(self) -> tuple[str, ...]:
        """Names of stages with weights that differ though they were frozen in every step."""
        return tuple(stage.stage for stage in self.stages if stage.frozen)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        plain = asdict(self)
        first = None if self.first is None else {**asdict(self.first), "size": self.first.size}
        kept = None if self.directory is None else str(self.directory)
        return {**plain, "run": str(self.run), "directory": kept, "first": first}


def repro(
    run: str | Path,
    *,
    output_directory: str | Path | None = None,
    cache: bool = True,
    listener: Listener | None = None,
) -> Reproduction:
    """Run a finished run again, from its own record, and compare what comes of it.

    Its observers are left out: nobody is told twice.

    Args:
        run: The run directory.
        output_directory: Where to keep the new run, which must not exist; by default it is removed.
        cache: Whether what earlier runs have computed of frozen stages may be used again.
        listener: Hears about the new run while it goes.

    Raises:
        OutputError: It is no directory of a finished run, or its files are damaged.
        UsageError: The spec cannot be run here any more.
        TlfError: The new run failed.
    """
    record = read_record(Path(run))
    # What is damaged is found now, and not hours later.
    then = read_results(record.folder)
    listener = listener or Listener()
    with _place(output_directory) as (place, kept):
        finished = _run_again(record, place, kept=kept, cache=cache, listener=listener)
        again = read_record(finished.directory)
        found = _compare(record, again, then, read_results(again.folder))
        if kept:
            add_page(finished.directory, listener.warning)
        return replace(found, directory=finished.directory if kept else None)


@contextmanager
def _place(wanted: str | Path | None) -> Iterator[tuple[Path, bool]]:
    """Give the directory of the new run, and whether it is kept."""
    if wanted is not None:
        yield Path(wanted), True
        return
    with temporary_folder() as folder:
        yield folder / "run", False


def _run_again(record: Record, place: Path, *, kept: bool, cache: bool, listener: Listener) -> Run:
    raw = _spec_of(record.raw, cache=cache)
    try:
        return run_raw(raw, output_directory=place, listener=listener)
    except (SpecError, DataError, WeightsError, PluginError) as error:
        raise _cannot_start(record, error) from error
    except RunInterrupted as error:
        if kept:
            raise
        raise RunInterrupted(error.message, hint="nothing of it is kept") from error


def _spec_of(raw: RawSpec, *, cache: bool) -> RawSpec:
    """Return the spec of a run without its observers, and without a cache if none is wanted."""
    values = {name: value for name, value in raw.values.items() if name != "observers"}
    if not cache:
        given = values.get("cache")
        values["cache"] = {**(given if isinstance(given, Mapping) else {}), "mode": "off"}
    if values == raw.values:
        return raw
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    return replace(raw, values=values, text=text)


def _cannot_start(record: Record, error: TlfError) -> UsageError:
    """Return the error of a run that does not even begin, with what has changed since it did."""
    lines = [f"the run in `{record.folder}` cannot be run again here: {error.message}"]
    lines += [f"  since the run: {change}" for change in record.changes(_known_now(record))]
    found = UsageError("\n".join(lines), hint=error.hint)
    found.exit_code = error.exit_code
    return found


def _known_now(record: Record) -> dict[str, Any]:
    """Return what `environment.json` would hold now, as far as that is known without a run."""
    then = record.environment
    weights = then.get("weights")
    if weights is not None:
        path = Path(weights["file"])
        weights = {**weights, "sha256": file_digest(path)} if path.is_file() else None
    return {**then, **describe_machine(), "weights": weights}


def _compare(record: Record, again: Record, then: Results, now: Results) -> Reproduction:
    first = first_difference(then.metrics, now.metrics)
    groups = _groups_of(again.plan)
    stages = weight_differences(then.tensors, now.tensors, groups, _frozen_in(again.plan))
    predictions = prediction_differences(then, now)
    numbers = {METRICS: first, TENSORS: stages, PREDICTIONS: predictions.other_numbers}
    differing = frozenset(name for name in COMPARED if numbers[name])
    changes = _changes(record, again)
    found = (*stages, predictions, *(() if first is None else (first,)))
    is_small = all(one.is_rounding for one in found)
    likeliest = ordered(changes, first, record.plan["metrics_on"], is_small=is_small)
    return Reproduction(
        run=record.folder,
        directory=None,
        verdict=_verdict(differing, then, now),
        lines=max(len(then.metrics), len(now.metrics)),
        differing_lines=differing_lines(then.metrics, now.metrics),
        first=first,
        stages=stages,
        predictions=predictions,
        metrics=_pairs(then.report["metrics"], now.report["metrics"]),
        changes=tuple(likeliest),
        causes=tuple(_causes(record, differing, likeliest, is_small=is_small)),
    )


def _verdict(differing: frozenset[str], then: Results, now: Results) -> Verdict:
    if differing:
        return "different"
    return "same" if then.digests == now.digests else "same numbers"


def _changes(record: Record, again: Record) -> list[Change]:
    # Observers are left out of the new run, which is no change.
    parts = [one for one in record.environment["plugins"] if one["kind"] != "observer"]
    then = replace(record, environment={**record.environment, "plugins": parts})
    return [*then.changes(again.environment), *plan_changes(record.plan, again.plan)]


def _causes(
    record: Record, differing: frozenset[str], changes: list[Change], *, is_small: bool
) -> Iterator[str]:
    if not differing:
        return
    afterwards = changed_afterwards(differing, changes, is_small=is_small)
    if afterwards is not None:
        yield afterwards
        return
    yield from (_said(change) for change in changes)
    if not changes:
        yield from what_is_left(record)


def _said(change: Change) -> str:
    if change.what == "threads":
        return f"{change}; `OMP_NUM_THREADS={change.then}` computes with as many as then"
    return str(change)


def _pairs(
    then: Mapping[str, float], now: Mapping[str, float]
) -> dict[str, tuple[float | None, float | None]]:
    return {name: (then.get(name), now.get(name)) for name in dict.fromkeys((*then, *now))}


def _groups_of(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the group of each tensor of the backbone that a plan trains, by name."""
    family, _, model = plan["backbone"]["name"].partition("/")
    made = make_family(load_registry(), family, plan["backbone"]["options"])
    with torch.device("meta"):
        backbone = build_backbone(made, model, plan["transforms"]["size"])
    return {
        BACKBONE_PREFIX + name: f"{stage.name}:{kind}"
        for stage in backbone.stages
        for kind, group in stage.groups.items()
        for name in (*group.parameters, *group.buffers)
    }


def _frozen_in(plan: Mapping[str, Any]) -> frozenset[str]:
    """Return the groups that are frozen in every step of a plan."""
    return frozenset.intersection(*(frozenset(step["frozen"]) for step in plan["steps"]))
