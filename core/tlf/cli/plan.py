"""`tlf plan`: what a run would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlf.cli.arguments import Json, Set, Spec

if TYPE_CHECKING:
    from tlf.engine.probe import Measurement
    from tlf.planning import PlannedStep, RunPlan

FROZEN, PARTLY, LEARNS, PICKED = ".", "+", "*", "?"
#: What a stage does in a step, where words would be too wide: a column a step.
SIGNS = {
    FROZEN: "frozen",
    PARTLY: "learns in part (its norms do not, say)",
    LEARNS: "learns",
    PICKED: "learns if the run picks it",
}


def plan_command(
    spec: Spec,
    overrides: Set = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also measure seconds and memory of each step.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what `tlf run` would do. Downloads nothing, trains nothing."""
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import write_json

    with prompt_interrupt():
        from tlf.engine.run import plan_and_probe

        plan, measurements = plan_and_probe(spec, overrides=overrides or (), probe=probe)
    if as_json:
        from dataclasses import asdict

        found = {"measurements": [asdict(m) for m in measurements]} if probe else {}
        write_json({**plan.as_json(), **found})
    else:
        show_plan(plan, measurements)


def show_plan(plan: RunPlan, measurements: Sequence[Measurement] = ()) -> None:
    """Print a plan for people.

    Args:
        plan: The plan.
        measurements: Of each step, if they were made.
    """
    from tlf.cli.output import results
    from tlf.cli.tables import table

    images = ", ".join(f"{count} {split}" for split, count in plan.data["images"].items())
    facts = [
        ["data", f"{plan.data['name']}: {images} images, {len(plan.classes)} classes"],
        ["backbone", f"{plan.backbone['name']}, {plan.transforms['size']} pixels square"],
        ["weights", _weights(plan)],
        ["strategy", _strategy(plan.strategy)],
        ["training", _training(plan)],
        ["device", plan.device["reason"]],
        ["reported", _reported(plan)],
    ]
    console = results()
    console.print(table(["run", plan.name], facts))
    console.print()
    console.print(_stage_table(plan))
    console.print()
    for note in _notes(plan):
        console.print(f"{note}\n")
    console.print(_step_table(plan, measurements))
    console.print()
    console.print(_cache_table(plan, measured=bool(measurements)))


def _weights(plan: RunPlan) -> str:
    return {
        "default": "the library's own (fetched by `tlf run` if they are not here)",
        "none": "none: random values",
    }.get(plan.weights, plan.weights)


def _with_options(part: Mapping[str, Any]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in part["options"].items())
    return f"{part['name']} ({options})" if options else str(part["name"])


def _strategy(part: Mapping[str, Any]) -> str:
    """Return a strategy with its options; and the one that it has picked, with the reason."""
    named = _with_options(part)
    return f"{named}: {_with_options(part['chosen'])}; {part['why']}" if "chosen" in part else named


def _reported(plan: RunPlan) -> str:
    """Return what the report speaks of, and what is chosen on which images."""
    chosen = any(step.chooses for step in plan.steps)
    on = f"; what is chosen is chosen on {plan.selection_on}" if chosen else ""
    return f"{plan.weights_from}, on {plan.metrics_on}{on}"


def _training(plan: RunPlan) -> str:
    training = plan.training
    usual = (
        f"{plan.epochs} epochs of {plan.batches_per_epoch} batches of "
        f"{training['batch_size']}, {training['optimizer']['name']}, {training['schedule']} "
        f"schedule, warmup {training['warmup']:.0%}, views {training['views']}"
    )
    return ", ".join([usual, *_not_usual(training)])


def _not_usual(training: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a spec asks for that most do not."""
    if training["accumulate"] > 1:
        yield f"a step every {training['accumulate']} batches"
    if training["loss"]["name"] != "cross-entropy":
        yield f"{training['loss']['name']} loss"
    if training["class_weights"] is not None:
        yield "weighted classes"
    if training["sampling"] != "shuffle":
        yield f"{training['sampling']} sampling"
    if training["mixing"] is not None:
        yield str(training["mixing"]["name"])
    if training["distillation"] is not None:
        teacher = training["distillation"]["teacher"]
        yield f"taught by {teacher['run'] or teacher['backbone']['name']}"
    if training["ema"] is not None:
        yield f"moving average {training['ema']:g}"


def _notes(plan: RunPlan) -> Iterator[str]:
    """Yield what the table of stages does not say by itself."""
    if len(plan.steps) > 1:
        signs = dict.fromkeys(sign for s in plan.stages for sign in _states(plan, s["name"]))
        yield ", ".join(f"{sign} {SIGNS[sign]}" for sign in signs)
    for step in plan.steps:
        if step.selector is not None:
            yield f"Step {step.name} picks {step.selector.count} stages, by {step.selector.by}."
        if step.patience is not None:
            yield (
                f"Step {step.name} ends after {step.patience} epoch"
                f"{'' if step.patience == 1 else 's'} without a gain"
                f"{', and is undone if there was none' if step.undo else ''}."
            )
        if step.kind == "combine":
            yield f"Step {step.name} averages {', '.join(step.snapshots)}: {_weights_of(step)}."
    # The head is the last of the stages, and no part of the backbone.
    if len(plan.stages) == 2:
        yield (
            "The backbone cannot be split: nowhere does a single tensor cross. It is one stage, frozen "
            "or learning as a whole."
        )


def _weights_of(step: PlannedStep) -> str:
    if isinstance(step.weights, str):
        return "all alike" if step.weights == "uniform" else "those that do no harm"
    shares = ", ".join(f"{share:g}" for share in step.weights)
    return f"the second's share is {'one of ' if len(step.weights) > 1 else ''}{shares}"


def _stage_table(plan: RunPlan) -> object:
    from tlf.cli.tables import table

    # Each sign below the number of its step.
    indent = " " * len("steps ") if len(plan.steps) > 1 else ""
    rows = [
        [
            stage["name"],
            f"{sum(stage['parameters'].values()):,}",
            f"{stage['flops'] / 1e6:,.1f}",
            "×".join(map(str, stage["output_shape"])),
            indent + " ".join(_states(plan, stage["name"])),
        ]
        for stage in plan.stages
    ]
    steps = " ".join(str(number + 1) for number in range(len(plan.steps)))
    return table(["stage", ">parameters", ">MFLOPs", ">output", f"steps {steps}"], rows)


def _states(plan: RunPlan, stage: str) -> list[str]:
    """Return what a stage does in each step: in words if there is one, else as signs."""
    prefix = f"{stage}:"
    states = []
    for step in plan.steps:
        learning = [group for group in step.trainable if group.startswith(prefix)]
        frozen = [group for group in step.frozen if group.startswith(prefix)]
        if step.selector is not None and set(learning).intersection(step.selector.among):
            states.append(PICKED if len(plan.steps) > 1 else SIGNS[PICKED])
            continue
        if len(plan.steps) > 1:
            states.append(PARTLY if learning and frozen else LEARNS if learning else FROZEN)
        elif learning and frozen:
            kinds = ",".join(group.removeprefix(prefix) for group in learning)
            states.append(f"learns ({kinds})")
        else:
            states.append("learns" if learning else "frozen")
    return states


def _step_table(plan: RunPlan, measurements: Sequence[Measurement]) -> object:
    from tlf.cli.tables import seconds, table

    columns = ["step", ">epochs", ">trainable", ">frozen", ">peak learning rates"]
    rows = [
        [
            f"{number} {step.name}",
            str(step.epochs) if step.kind == "train" else step.kind,
            f"{'at most ' if step.selector else ''}{step.trainable_parameters:,}",
            f"{step.frozen_parameters:,}",
            _rates(step.rates.values()),
        ]
        for number, step in enumerate(plan.steps, start=1)
    ]
    if measurements:
        columns += [">training", ">memory"]
        for row, step, measured in zip(rows, plan.steps, measurements, strict=True):
            batches = step.epochs * plan.batches_per_epoch
            row.append(f"about {seconds(measured.seconds_per_batch * batches)}")
            row.append(f"{measured.peak_memory_bytes / 1e9:.1f} GB")
    return table(columns, rows)


def _cache_table(plan: RunPlan, *, measured: bool) -> object:
    """Return what each step keeps of its frozen part; with seconds, if the probe measured any."""
    from tlf.cache import in_words
    from tlf.cli.tables import seconds, table

    columns = ["step", "keeps", ">size"] + ([">frozen part", ">without"] if measured else [])
    rows = []
    for number, step in enumerate(plan.steps, start=1):
        cache = step.cache
        row = [f"{number} {step.name}", _kept(plan, step), in_words(cache.bytes)]
        if measured:
            row += [f"about {seconds(cache.seconds)}", f"about {seconds(cache.seconds_without)}"]
        rows.append(row)
    return table(columns, rows)


def _kept(plan: RunPlan, step: PlannedStep) -> str:
    """Return what a step keeps, and why, in words."""
    cache = step.cache
    if cache.level == "none":
        return f"nothing: {cache.why}"
    if cache.level == "decoded":
        return f"decoded images: {cache.why}"
    return f"features, {plan.place_of(cache.cut)}: {cache.why}"


def _rates(rates: object) -> str:
    values = sorted(set(rates))  # type: ignore[call-overload]
    if not values:
        return "-"
    ends = [values[0]] if len(values) == 1 else [values[0], values[-1]]
    return " to ".join(f"{value:.3g}" for value in ends)
