"""From a spec to a plan: loads the plugins it names, lists the data, outlines the network.

Nothing is downloaded, decoded or trained: networks are outlined on torch's meta device, which holds
shapes and no numbers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.data import batches_per_epoch
from tlf.data.threads import core_count
from tlf.engine.choosing import SELECTION, hold_out_selection
from tlf.engine.losses import check_classes
from tlf.engine.metrics import check_metrics
from tlf.engine.model import LinearHead, outline_of
from tlf.engine.network import chunk_size_of
from tlf.engine.parts import (
    Made,
    check_model,
    default_weights_of,
    described_options,
    fitted_device,
    input_config_of,
    make_device,
    make_family,
    make_source,
    make_transform,
    open_source,
    outline_backbone,
    parts_of,
    pinned_device,
)
from tlf.engine.strategies import ChosenStrategy, choose_strategy
from tlf.engine.teacher import check_teacher
from tlf.engine.weights import resolve_weights
from tlf.errors import Problem, SpecError
from tlf.planning import RunPlan, plan_steps, with_stopping
from tlf.plugin import (
    Backbone,
    BackboneFamily,
    Budget,
    Dataset,
    Device,
    InputConfig,
    Outline,
    Transform,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tlf.engine.adapting import Adapted
    from tlf.planning import PlannedStep
    from tlf.registry import Registry
    from tlf.spec.model import PartSpec, RunSpec


@dataclass(frozen=True)
class Job:
    """A planned run with the parts that will carry it out.

    Attributes:
        spec: The valid spec.
        plan: What will be done.
        family: Builds the backbone, with the entry that answers for it.
        model: The model's name within the family.
        input_config: What the model's weights were trained to see.
        weights: A weights file, `default` or `none`.
        transform: Makes inputs.
        dataset: The images, listed.
        device: Where to run.
        device_spec: What makes the same device again, with the precision that was chosen.
        parts: Kind and name of every plugin's part that takes part.
        adapted: What the strategy adds to the backbone; None if nothing.
    """

    spec: RunSpec
    plan: RunPlan
    family: Made[BackboneFamily[Any]]
    model: str
    input_config: InputConfig
    weights: str | Path
    transform: Transform[Any]
    dataset: Dataset
    device: Device
    device_spec: PartSpec
    parts: tuple[tuple[str, str], ...]
    adapted: Adapted | None = None


def prepare(spec: RunSpec, folder: Path, registry: Registry) -> Job:
    """Plan a run.

    Args:
        spec: A valid spec.
        folder: What relative paths in the spec start from.
        registry: The installed plugins.

    Raises:
        TlfError: A plugin, the data, or a file that the spec names cannot be used.
    """
    family_name, _, model = spec.backbone.name.partition("/")
    family = make_family(registry, family_name, spec.backbone.options)
    check_model(family, model, spec.backbone.name)
    # By what the spec says and not by what a strategy makes of it: runs are compared on equal images.
    default_weights = spec.backbone.weights == "default"
    config = input_config_of(family, model, default_weights=default_weights)
    transform = make_transform(registry, spec.transforms, config)
    dataset = open_source(make_source(registry, spec.data, folder))
    check_metrics(spec.evaluation.metrics, dataset.task)
    check_classes(spec.training, dataset.classes, dataset.task)
    if spec.training.distillation is not None:
        check_teacher(spec.training.distillation.teacher, folder, registry, dataset)
    device = make_device(registry, spec.device, lambda why: _unavailable(spec.device.name, why))
    device = fitted_device(device, family)

    def backbone() -> Backbone:
        return _outlined(family, model, transform, config, spec)

    outline = outline_network(backbone(), len(dataset.classes), spec)
    budget = Budget(epochs=spec.training.epochs, images=len(dataset.splits["train"]))
    chosen = choose_strategy(registry, spec.strategy, outline, budget, backbone)
    outline = chosen.outline
    planned = with_stopping(
        _plan_strategy(chosen, spec, outline, budget),
        patience=spec.training.patience,
        keep_best=spec.training.keep == "best",
    )
    if any(step.chooses for step in planned) and "test" not in dataset.splits:
        dataset = hold_out_selection(dataset, spec.evaluation.selection, spec.seed)
    weights: str | Path = "none"
    if chosen.made.part.pretrained:
        weights = resolve_weights(spec.backbone, folder, family, model)
    plan = _resolve(spec, outline, planned, dataset, transform, device, str(weights))
    plan = replace(plan, strategy={**plan.strategy, **chosen.as_json()})
    if plan.keeps_best:
        plan = replace(plan, weights_from="best of all steps")
    if spec.training.ema is not None and plan.steps[-1].kind == "train":
        plan = replace(plan, weights_from=f"moving average, {plan.weights_from}")
    plan = _with_source_of_weights(plan, family, model)
    return Job(
        spec=spec,
        plan=plan,
        family=family,
        model=model,
        input_config=config,
        weights=weights,
        transform=transform.part,
        dataset=dataset,
        device=device,
        device_spec=pinned_device(registry, spec.device, device),
        parts=tuple(dict.fromkeys((*parts_of(spec), ("strategy", chosen.name)))),
        adapted=chosen.adapted,
    )


def _outlined(
    family: Made[BackboneFamily[Any]],
    model: str,
    transform: Made[Transform[Any]],
    config: InputConfig,
    spec: RunSpec,
) -> Backbone:
    """Return a backbone on the meta device, where it costs no memory.

    Raises:
        SpecError: The network cannot take images of that size.
        PluginError: It cannot be built at all.
    """
    return outline_backbone(
        family,
        model,
        transform.part.size,
        usual=config.size,
        wrong_size=lambda reason: _wrong_size(spec, transform, config.size, reason),
    )


def outline_network(backbone: Backbone, classes: int, spec: RunSpec) -> Outline:
    """Return the outline of a backbone with its head, without allocating a weight.

    Args:
        backbone: On the meta device.
        classes: Number of classes.
        spec: Gives the head.
    """
    with torch.device("meta"):
        head = LinearHead(backbone.output_width, classes, spec.head.options.dropout)
    return outline_of(backbone, head)


def _wrong_size(
    spec: RunSpec, transform: Made[Transform[Any]], usual: int, reason: str
) -> SpecError:
    """Return the error for a size that the network cannot take, with the network's own reason."""
    has_size = "size" in transform.entry.options_model().model_fields
    size = transform.part.size
    problem = Problem(
        "transforms.options.size" if has_size else "transforms",
        f"`{spec.backbone.name}` cannot take images of `{size}` pixels: {reason}",
        f"take {usual}, the size that its weights were trained with",
    )
    return SpecError([problem])


def _unavailable(name: str, reason: str) -> SpecError:
    problem = Problem(
        "device.name",
        f"`{name}` cannot be used here: {reason}",
        "take another precision (`device.options.precision`)"
        if name == "auto"
        else "`auto` takes the best device that is there",
    )
    return SpecError([problem])


def _plan_strategy(
    chosen: ChosenStrategy, spec: RunSpec, outline: Outline, budget: Budget
) -> tuple[PlannedStep, ...]:
    try:
        return plan_steps(chosen.steps, outline, budget, spec.training.learning_rate)
    except ValueError as error:
        raise chosen.made.entry.broken(f"its plan cannot be carried out: {error}") from error


def _with_source_of_weights(
    plan: RunPlan, family: Made[BackboneFamily[Any]], model: str
) -> RunPlan:
    """Return the plan with the address and digest of the library's own weights, if it takes them."""
    info = default_weights_of(family, model) if plan.weights == "default" else None
    if info is None:
        return plan
    source = {"source": info.source, "digest": info.digest}
    return replace(plan, backbone={**plan.backbone, "default_weights": source})


def _resolve(
    spec: RunSpec,
    outline: Outline,
    steps: tuple[PlannedStep, ...],
    dataset: Dataset,
    transform: Made[Transform[Any]],
    device: Device,
    weights: str,
) -> RunPlan:
    splits = {name: len(items) for name, items in dataset.splits.items()}
    workers = spec.training.workers
    workers = core_count() if workers is None else workers
    held_out = SELECTION if SELECTION in splits else None
    return RunPlan(
        name=spec.name,
        strategy=spec.strategy.model_dump(mode="json"),
        backbone={"name": spec.backbone.name, "options": dict(spec.backbone.options)},
        weights=weights,
        head=spec.head.model_dump(mode="json"),
        transforms={
            "name": spec.transforms.name,
            "options": described_options(transform),
            "size": transform.part.size,
            "mean": transform.part.mean,
            "std": transform.part.std,
        },
        data={**spec.data.model_dump(mode="json"), "images": splits},
        classes=dataset.classes,
        stages=tuple(asdict(stage) for stage in outline.stages),
        steps=steps,
        batches_per_epoch=batches_per_epoch(splits["train"], spec.training.batch_size),
        training={**spec.training.model_dump(mode="json"), "workers": workers},
        cache=spec.cache.model_dump(mode="json"),
        device=describe_device(spec.device.name, device, transform.part.size),
        metrics_on="test" if "test" in splits else "validation",
        selection_on="validation" if "test" in splits else held_out,
        weights_from=_weights_from(steps),
        seed=spec.seed,
        task=dataset.task,
    )


def _weights_from(steps: Sequence[PlannedStep]) -> str:
    """Return which weights are reported, in words."""
    last = steps[-1]
    if last.kind == "combine":
        return f"average of {' and '.join(last.snapshots)}"
    if last.solves:
        return "solved head"
    return "best epoch of each step" if last.watched else "last epoch"


def describe_device(name: str, device: Device, image_size: int) -> dict[str, Any]:
    """Return what a device resolved to, as plain data.

    Args:
        name: What the spec calls it.
        device: The device.
        image_size: Side of the square input image, in pixels.
    """
    return {
        "name": name,
        "torch_device": str(device.torch_device),
        "precision": device.precision,
        "channels_last": device.channels_last,
        "chunk_size": chunk_size_of(device, image_size),
        "threads": torch.get_num_threads(),
        "deterministic": device.deterministic,
        "reason": device.reason,
    }
