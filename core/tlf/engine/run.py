"""A run, from a spec to a directory of results; and what it would be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.boundary import boundaries, decided_plan, with_assumed_caches
from tlf.engine.costs import measured_costs
from tlf.engine.determinism import deterministic_operations
from tlf.engine.directory import RunDirectory
from tlf.engine.generators import forked_generators
from tlf.engine.listener import Listener
from tlf.engine.network import build_network, inference_of
from tlf.engine.pages import PAGE, add_page
from tlf.engine.parts import make_observers, parts_of
from tlf.engine.prepare import prepare
from tlf.engine.probe import Measurement, probe_steps
from tlf.engine.record import Record, read_record
from tlf.engine.remembered import splits_kept
from tlf.engine.resuming import refuse_other_spec
from tlf.engine.running import Run, Running, finished_run
from tlf.engine.stopping import STOPPED_EARLY, ending_of
from tlf.registry import Registry, check, load_registry
from tlf.spec import RawSpec, load_raw
from tlf.spec.paths import resolve_path

if TYPE_CHECKING:
    from tlf.planning import RunPlan
    from tlf.spec import RunSpec

__all__ = ["Run", "import_parts", "plan", "plan_and_probe", "resume", "run", "run_raw"]


def run(
    spec: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    output_directory: str | Path | None = None,
    listener: Listener | None = None,
) -> Run:
    """Fit a network as a spec says, and write the page `report.html` of it.

    Args:
        spec: A JSON file, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`.
        output_directory: The run directory, which must not exist; by default a new one in the spec's
            `output`.
        listener: Hears about the run while it goes.

    Raises:
        TlfError: The spec, a plugin, the data or a file cannot be used, or the run failed.
    """
    raw = load_raw(spec, overrides)
    listener = listener or Listener()
    finished = run_raw(raw, output_directory=output_directory, listener=listener)
    add_page(finished.directory, listener.warning)
    return finished


def resume(
    directory: str | Path,
    *,
    spec: str | Path | Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    listener: Listener | None = None,
) -> Run:
    """Go on with a run that was stopped or killed, to the same bytes as if it had not been.

    A run that was killed before its state was saved begins anew, in the same directory. Of one that is
    finished, what is missing of its page is written.

    Args:
        directory: The run directory.
        spec: The spec that the run began with, to make sure of it. By default it is taken from the run
            directory; relative paths start where they did.
        overrides: The same fields that were changed then, each `path.to.field=value`.
        listener: Hears about the run while it goes.

    Raises:
        TlfError: The spec, the weights, the images, a plugin or the device are not those that the run
            began with; every checkpoint is damaged; or see `run`.
    """
    listener = listener or Listener()
    record = read_record(Path(directory))
    if spec is not None or overrides:
        raw = load_raw(record.raw.values if spec is None else spec, overrides)
        refuse_other_spec(record.folder, record.raw.values, raw.values)
        record = replace(record, raw=replace(record.raw, folder=raw.folder)) if spec else record
    with RunDirectory.reopen(record.folder):
        finished = finished_run(record.folder)
    finished = finished or run_raw(record.raw, record=record, listener=listener)
    if not (finished.directory / PAGE).exists():
        add_page(finished.directory, listener.warning)
    return finished


def plan(spec: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = ()) -> RunPlan:
    """Return what `run` would do. Downloads, decodes and trains nothing.

    Args:
        spec: A JSON file, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`.

    Raises:
        TlfError: The spec, a plugin, or the data cannot be used.
    """
    return plan_and_probe(spec, overrides=overrides)[0]


def plan_and_probe(
    spec: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = (), probe: bool = False
) -> tuple[RunPlan, tuple[Measurement, ...]]:
    """Return what `run` would do, and what the probe measures of each step.

    What each step keeps is decided by what things cost: measured by the probe, or assumed without one.

    Args:
        spec: A JSON file, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`.
        probe: Whether to measure. Random weights are used: time and memory do not depend on them.

    Raises:
        TlfError: The spec, a plugin, or the data cannot be used, or a step does not fit into memory.
    """
    raw = load_raw(spec, overrides)
    registry = load_registry()
    checked = check(raw, registry)
    with splits_kept(checked.cache, raw.folder, registry):
        job = prepare(checked, raw.folder, registry)
    if not probe:
        return with_assumed_caches(job), ()
    job = replace(job, weights="none")
    with deterministic_operations(job.device), forked_generators(job.device.torch_device):
        model = build_network(job)
        inference = inference_of(job, model)
        cuts = boundaries(job.plan, model, inference)
        plan = decided_plan(job, cuts, measured_costs(job, inference))
        return plan, probe_steps(replace(job, plan=plan), model, inference, cuts)


def run_raw(
    raw: RawSpec,
    *,
    output_directory: str | Path | None = None,
    record: Record | None = None,
    listener: Listener | None = None,
    registry: Registry | None = None,
) -> Run:
    """Carry out a spec that has been read.

    Args:
        raw: The spec.
        output_directory: The run directory, which must not exist.
        record: Of the run that goes on; None for a new one.
        listener: Hears about the run.
        registry: The plugins; by default those that are installed.

    Raises:
        TlfError: See `run`.
    """
    registry = registry or load_registry()
    spec = check(raw, registry)
    import_parts(spec, registry)
    started = time.perf_counter()
    listener = listener or Listener()
    output = resolve_path(raw.folder, spec.output, "output")
    observers = make_observers(registry, spec.observers, raw.folder)
    try:
        with splits_kept(spec.cache, raw.folder, registry):
            job = prepare(spec, raw.folder, registry)
        with (
            RunDirectory(output, spec.name, output_directory)
            if record is None
            else RunDirectory.reopen(record.folder)
        ) as directory:
            running = Running(job, raw, registry, directory, listener, started, observers, record)
            with deterministic_operations(job.device), forked_generators(job.device.torch_device):
                return running.carry_out()
    except KeyboardInterrupt as interrupt:
        raise ending_of(interrupt)(STOPPED_EARLY) from interrupt


def import_parts(spec: RunSpec, registry: Registry) -> None:
    """Import the code of every part that a spec names: what a run takes begins after that.

    Args:
        spec: A valid spec.
        registry: The installed plugins.
    """
    for kind, name in parts_of(spec):
        registry.get(kind, name).target()
