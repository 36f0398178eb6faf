"""Finding a learning rate for a spec: range tests of every step that trains, several times each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.data import batches_per_epoch, load_dataset
from tlf.engine.boundary import Boundary, boundaries
from tlf.engine.costs import measured_costs
from tlf.engine.determinism import deterministic_operations, operations_explained
from tlf.engine.features import Features
from tlf.engine.freeze import FreezeContract
from tlf.engine.generators import all_generators_kept
from tlf.engine.learning_rates import (
    LearningRates,
    MeasuredRate,
    Repeat,
    StepRates,
    distinct_rates,
)
from tlf.engine.listener import Listener
from tlf.engine.memory import memory_explained
from tlf.engine.network import build_network, inference_of
from tlf.engine.prepare import prepare
from tlf.engine.probe import largest_step, probe_step
from tlf.engine.range_test import Setting, optimizer_steps, range_test
from tlf.engine.rate_rules import MARGIN, geometric
from tlf.engine.rehearsal import Rehearsal
from tlf.engine.remembered import FileMemory, open_cache, splits_kept
from tlf.engine.teacher import load_teacher
from tlf.engine.wanted import usage_of, with_caches
from tlf.errors import UsageError
from tlf.planning import decide_cache
from tlf.registry import Registry, check, load_registry
from tlf.spec import load_raw

if TYPE_CHECKING:
    from tlf.cache import Cache
    from tlf.data import Loaded
    from tlf.engine.prepare import Job
    from tlf.planning import PlannedStep, RunPlan

__all__ = ["LearningRates", "MeasuredRate", "Range", "StepRates", "tune_lr"]

#: What a spec takes as `training.learning_rate` at most.
HIGHEST = 100.0
#: With fewer rates, there is no curve.
FEWEST = 10


@dataclass(frozen=True)
class Range:
    """Which rates are tried, and how often.

    Attributes:
        batches: Steps of the optimizer in a test, each with its own rate. Ten for each decade of the
            usual range: with fewer, one step decides about much of it, and with more, the lowest rates
            have trained the network before the others come.
        lowest: The first rate. A pretrained network learns little at it, whatever the optimizer.
        highest: The last rate. Most tests are over long before it.
        repeats: Tests of each step, each with another head and order.
        groups: Whether to test each group of parameters that has a rate of its own alone, too.
    """

    batches: int = 60
    lowest: float = 1e-5
    highest: float = 10.0
    repeats: int = 3
    groups: bool = False

    def check(self) -> None:
        """Raise UsageError if it is none."""
        wrong = next(self._problems(), None)
        if wrong is not None:
            raise UsageError(wrong[0], hint=wrong[1])

    def _problems(self) -> Iterator[tuple[str, str]]:
        for name, rate in (("lowest", self.lowest), ("highest", self.highest)):
            if not 0 < rate <= HIGHEST:
                yield (
                    f"the {name} rate `{rate:g}` is none",
                    f"rates lie above 0, and up to {HIGHEST:g}",
                )
        if self.lowest >= self.highest:
            yield (
                f"the lowest rate `{self.lowest:g}` is not below the highest, `{self.highest:g}`",
                "a test goes from `--from` up to `--to`",
            )
        if self.batches < FEWEST:
            yield f"`{self.batches}` batches are too few for a curve", f"take at least {FEWEST}"
        if self.repeats < 1:
            yield f"`{self.repeats}` repeats are none", "take at least 1"

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates of a test."""
        return geometric(self.lowest, self.highest, self.batches)


def tune_lr(  # noqa: PLR0913 - each has a name
    spec: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    batches: int = Range.batches,
    lowest: float = Range.lowest,
    highest: float = Range.highest,
    repeats: int = Range.repeats,
    groups: bool = False,
    listener: Listener | None = None,
) -> LearningRates:
    """Return a learning rate for a spec, from range tests of every step that trains.

    Each step is tested on a copy of the network as it is when the step begins. That is where the step
    before left it; but a step that trains is cut short to the length of its test, at the rate that this
    came to, for the whole run would have to be trained otherwise, at rates that nobody knows yet. Looks
    at training images only. Writes no run directory; what is frozen is kept in the cache, as in a run.

    Args:
        spec: A JSON file, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`.
        batches: Steps of the optimizer in a test, each with its own rate.
        lowest: The first rate of a test, as `training.learning_rate`.
        highest: The last rate of a test. Most are over before it.
        repeats: Tests of each step, each with another head and order.
        groups: Whether to test each group of parameters that has a rate of its own alone, too.
        listener: Hears about it while it goes.

    Raises:
        TlfError: The spec, a plugin, the data or the range cannot be used, or a step does not fit into
            memory.
    """
    tried = Range(batches, lowest, highest, repeats, groups)
    tried.check()
    raw = load_raw(spec, overrides)
    registry = load_registry()
    checked = check(raw, registry)
    listener = listener or Listener()
    with splits_kept(checked.cache, raw.folder, registry):
        job = prepare(checked, raw.folder, registry)
    if not any(step.kind == "train" for step in job.plan.steps):
        return _result(job, {})
    listener.planned(job.plan)
    device = job.device
    with deterministic_operations(device), all_generators_kept(device.torch_device):
        cache = open_cache(checked.cache, raw.folder, listener.warning)
        with cache or nullcontext():
            teacher = load_teacher(job, raw.folder, registry, listener.warning)
            if teacher is not None and cache is not None:
                teacher.keep_in(cache, job, registry)
            rehearsal = _ready(job, registry, cache, tried, listener)
            if teacher is not None:
                teacher.learn(rehearsal.job, rehearsal.loaded)
                rehearsal.teacher = teacher
            return _result(job, _tested(job, rehearsal, tried, listener))


def _result(job: Job, found: Mapping[str, _Tests]) -> LearningRates:
    planned = job.spec.training.learning_rate
    steps = [
        found[step.name].result(step, planned)
        if step.name in found
        else StepRates(step.name, step.kind, step.epochs)
        for step in job.plan.steps
    ]
    return LearningRates(job.plan.name, planned, tuple(steps))


def _ready(
    job: Job, registry: Registry, cache: Cache | None, tried: Range, listener: Listener
) -> Rehearsal:
    """Build the network, see that its steps fit into memory, and read the training images."""
    model = build_network(job)
    inference = inference_of(job, model)
    cuts = boundaries(job.plan, model, inference)
    index = largest_step(job.plan, cuts)
    probe_step(job, model, inference, job.plan.steps[index], cuts[index])
    short = replace(
        job,
        dataset=replace(job.dataset, splits={"train": job.dataset.splits["train"]}),
        plan=_short_plan(job.plan, tried, len(job.dataset.splits["train"])),
    )
    features = Features(inference, job.transform, job.device, job.spec.training.augmentation_seed)
    costs = measured_costs(job, inference)
    usages = [usage_of(short.plan, s, c) for s, c in zip(short.plan.steps, cuts, strict=True)]
    caches = decide_cache(
        [replace(usage, epochs=usage.epochs * tried.repeats) for usage in usages],
        costs,
        budget=0 if cache is None else int(job.spec.cache.max_gb * 1e9),
        shared_views=job.spec.training.views != "every-epoch",
    )
    short = replace(short, plan=with_caches(short.plan, caches))
    contract = FreezeContract(model)
    boundary = Boundary(short, registry, model, features, contract, cache, cuts, costs=costs)
    loaded = _load(job, short, boundary, cache, listener)
    count = len(loaded.splits["train"])
    plan = replace(
        short.plan, batches_per_epoch=batches_per_epoch(count, job.spec.training.batch_size)
    )
    return Rehearsal(replace(short, plan=plan), loaded, model, boundary, listener)


def _short_plan(plan: RunPlan, tried: Range, images: int) -> RunPlan:
    """Return a plan that goes over as many epochs as the tests do, and looks at no other images."""
    training = plan.training
    each = batches_per_epoch(images, training["batch_size"])
    passes = ceil(tried.batches * training["accumulate"] / each)
    steps = [
        replace(step, epochs=min(step.epochs, passes)) if step.kind == "train" else step
        for step in plan.steps
    ]
    return replace(
        plan,
        steps=tuple(steps),
        data={**plan.data, "images": {"train": images, "validation": 0}},
        metrics_on="validation",
        selection_on=None,
    )


def _load(
    job: Job, short: Job, boundary: Boundary, cache: Cache | None, listener: Listener
) -> Loaded:
    """Read the training images, and compute of them what the tests are going to ask for."""
    filling = boundary.filling(short.plan)
    memory = None if cache is None else FileMemory(cache)
    loaded = load_dataset(
        job.dataset,
        job.transform,
        unreadable=job.spec.data.unreadable,
        workers=job.spec.training.workers,
        timeout_seconds=job.spec.data.timeout_seconds,
        use=filling,
        digests=memory,
        decoded=boundary.images,
        only=("train",),
        progress=listener.loading,
        warn=listener.warning,
    )
    filling.finish()
    if memory is not None:
        memory.flush()
    for item in loaded.skipped:
        listener.warning(f"left out `{item.id}` of {item.split}: {item.reason}")
    return loaded


class _Tests:
    """The tests of one step, as they come."""

    def __init__(self) -> None:
        self.together: list[Repeat] = []
        self.alone: dict[tuple[str, ...], tuple[float, list[Repeat]]] = {}

    def result(self, step: PlannedStep, planned: float) -> StepRates:
        """Return what they have come to."""
        groups = [
            MeasuredRate(names, rate, tuple(repeats))
            for names, (rate, repeats) in self.alone.items()
        ]
        together = MeasuredRate((), planned, tuple(self.together))
        return StepRates(step.name, step.kind, step.epochs, together, tuple(groups))


def _tested(job: Job, rehearsal: Rehearsal, tried: Range, listener: Listener) -> dict[str, _Tests]:
    """Carry out the tests of every step that trains, by the step's name."""
    found: dict[str, _Tests] = {}
    epochs = {step.name: step.epochs for step in job.plan.steps}
    last = [step.name for step in job.plan.steps if step.kind == "train"][-1]
    for number in range(tried.repeats):
        seed = (job.spec.seed + number) % 2**31
        for setting in rehearsal.settings(seed):
            step = setting.step
            tests = found.setdefault(step.name, _Tests())
            listener.step_started(step)
            with _explained(job, step.name):
                repeat = _test(rehearsal, setting, tried, tests, seed)
            shown = "flat" if repeat.rate is None else f"{repeat.rate:.2g}"
            listener.chosen(
                f"step {step.name}, repeat {number + 1} of {tried.repeats}: {shown} "
                f"({len(repeat.curve.rates)} of {tried.batches} batches)"
            )
            if step.name == last:
                continue
            planned = replace(step, epochs=epochs[step.name])
            steps = optimizer_steps(setting.job, planned, len(setting.split))
            rate = repeat.rate or _harmless(job, repeat)
            with _explained(job, step.name):
                moved = rehearsal.train(setting, rate, min(steps, tried.batches))
            if not moved:
                listener.warning(
                    f"step {step.name} diverges at {rate:.2g}: what comes after it is tested on the "
                    "network before it"
                )
    return found


def _test(rehearsal: Rehearsal, setting: Setting, tried: Range, tests: _Tests, seed: int) -> Repeat:
    """Test a step once, and each of its rates alone if that is asked for."""
    rates, model, previous = tried.rates, rehearsal.model, rehearsal.optimizer
    repeat = Repeat.of(seed, range_test(model, setting, rates, previous=previous))
    tests.together.append(repeat)
    step = setting.step
    own = distinct_rates([(group, step.rates[group]) for group in step.trainable])
    if tried.groups and len(own) > 1:
        for planned, groups in own.items():
            curve = range_test(model, setting, rates, previous=previous, alone=groups)
            tests.alone.setdefault(groups, (planned, []))[1].append(Repeat.of(seed, curve))
    return repeat


def _harmless(job: Job, repeat: Repeat) -> float:
    """Return a rate to go on with where a test has none: the planned one, unless that diverges."""
    planned, limit = job.spec.training.learning_rate, repeat.reading.limit
    return planned if limit is None else min(planned, limit / MARGIN)


@contextmanager
def _explained(job: Job, step: str) -> Iterator[None]:
    """Say in words what goes wrong in a test that would go wrong in a run, too."""
    what = f"step `{step}`"
    device = str(job.device.torch_device)
    size = job.spec.training.batch_size
    with (
        memory_explained(what, device=device, batch_size=size),
        operations_explained(lambda: what),
    ):
        yield
