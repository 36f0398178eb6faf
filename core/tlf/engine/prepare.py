"""From a spec to a plan: loads the plugins it names, lists the data, outlines the network.

Nothing is downloaded, decoded or trained: networks are outlined on torch's meta device, which holds
shapes and no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from tlf.data import batches_per_epoch
from tlf.engine.model import LinearHead, outline_of
from tlf.errors import PluginError, Problem, SpecError, WeightsError, did_you_mean
from tlf.planning import RunPlan, plan_steps
from tlf.plugin import (
    BackboneFamily,
    Budget,
    Dataset,
    DataSource,
    Device,
    DeviceBackend,
    InputConfig,
    Outline,
    Strategy,
    Transform,
)

if TYPE_CHECKING:
    from tlf.planning import PlannedStep
    from tlf.registry import Registry
    from tlf.spec.model import PartSpec, RunSpec


@dataclass(frozen=True)
class Job:
    """A planned run with the parts that will carry it out.

    Attributes:
        spec: The valid spec.
        plan: What will be done.
        family: Builds the backbone.
        model: The model's name within the family.
        input_config: What the model's weights were trained to see.
        weights: A weights file, `default` or `none`.
        transform: Makes inputs.
        dataset: The images, listed.
        device: Where to run.
        parts: Kind and name of every plugin's part that takes part.
    """

    spec: RunSpec
    plan: RunPlan
    family: BackboneFamily[Any]
    model: str
    input_config: InputConfig
    weights: str | Path
    transform: Transform[Any]
    dataset: Dataset
    device: Device
    parts: tuple[tuple[str, str], ...]


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
    family = cast(
        "BackboneFamily[Any]",
        _create(registry, "backbone-family", family_name, spec.backbone.options),
    )
    _check_model(family, model, spec.backbone.name)
    strategy = cast("Strategy[Any]", _create_part(registry, "strategy", spec.strategy))
    weights = _resolve_weights(spec, folder, family, model, strategy)
    # By what the spec says and not by what a strategy makes of it: runs are compared on equal images.
    default_weights = spec.backbone.weights == "default"
    config = family.input_config(model, default_weights=default_weights)
    transform = cast("Transform[Any]", _create_part(registry, "transform", spec.transforms, config))
    source = cast("DataSource[Any]", _create_part(registry, "data-source", spec.data, folder))
    dataset = source.open()
    device = _create_device(registry, spec.device)
    outline = outline_network(family, model, transform.size, len(dataset.classes), spec)
    steps = _plan_strategy(strategy, spec, outline)
    plan = _resolve(spec, outline, steps, dataset, transform, device, str(weights))
    parts = (
        ("backbone-family", family_name),
        ("data-source", spec.data.name),
        ("device", spec.device.name),
        ("strategy", spec.strategy.name),
        ("transform", spec.transforms.name),
    )
    return Job(
        spec=spec,
        plan=plan,
        family=family,
        model=model,
        input_config=config,
        weights=weights,
        transform=transform,
        dataset=dataset,
        device=device,
        parts=parts,
    )


def outline_network(
    family: BackboneFamily[Any], model: str, image_size: int, classes: int, spec: RunSpec
) -> Outline:
    """Return the outline of a backbone with its head, without allocating a weight.

    Args:
        family: Builds the backbone.
        model: One of the family's models.
        image_size: Side of the square input, in pixels.
        classes: Number of classes.
        spec: Gives the head.
    """
    with torch.device("meta"):
        backbone = family.build(model, image_size)
        head = LinearHead(backbone.output_width, classes, spec.head.options.dropout)
    return outline_of(backbone, head)


def _create(
    registry: Registry, kind: str, name: str, options: Mapping[str, Any], *more: object
) -> object:
    entry = registry.get(kind, name)
    return entry.create(entry.options(options), *more)


def _create_part(registry: Registry, kind: str, part: PartSpec, *more: object) -> object:
    return _create(registry, kind, part.name, part.options, *more)


def _check_model(family: BackboneFamily[Any], model: str, name: str) -> None:
    models = family.models()
    if model not in models:
        problem = Problem(
            "backbone.name",
            f"`{name}` is not known: the family has no model `{model}`",
            did_you_mean(model, models),
        )
        raise SpecError([problem])


def _resolve_weights(
    spec: RunSpec,
    folder: Path,
    family: BackboneFamily[Any],
    model: str,
    strategy: Strategy[Any],
) -> str | Path:
    wanted = spec.backbone.weights
    if not strategy.pretrained or wanted == "none":
        return "none"
    if wanted == "default":
        if family.weights(model) is None:
            problem = Problem(
                "backbone.weights",
                f"`{spec.backbone.name}` has no weights of its own",
                "name a weights file, or write `none` for random weights",
            )
            raise SpecError([problem])
        return "default"
    path = folder / Path(wanted).expanduser()
    if not path.is_file():
        raise WeightsError(
            f"the weights file `{path}` does not exist",
            hint='correct `backbone.weights`; `"default"` takes the library\'s own weights',
        )
    return path


def _create_device(registry: Registry, part: PartSpec) -> Device:
    backend = cast("DeviceBackend[Any]", _create_part(registry, "device", part))
    availability = backend.is_available()
    if not availability.available:
        problem = Problem(
            "device.name",
            f"`{part.name}` cannot be used here: {availability.reason}",
            "`auto` takes the best device that is there",
        )
        raise SpecError([problem])
    return backend.create()


def _plan_strategy(
    strategy: Strategy[Any], spec: RunSpec, outline: Outline
) -> tuple[PlannedStep, ...]:
    budget = Budget(epochs=spec.training.epochs)
    try:
        steps = tuple(strategy.steps(outline, budget))
    except Exception as error:
        raise PluginError(
            f"the strategy `{spec.strategy.name}` fails to plan: {type(error).__name__}: {error}",
            hint="this is a fault of the strategy's plugin; `--traceback` shows where",
        ) from error
    try:
        return plan_steps(steps, outline, budget, spec.training.learning_rate)
    except ValueError as error:
        raise PluginError(
            f"the strategy `{spec.strategy.name}` made a plan that cannot be carried out: {error}",
            hint="this is a fault of the strategy's plugin; `tlf plugins show "
            f"{spec.strategy.name}` says whose it is",
        ) from error


def _resolve(
    spec: RunSpec,
    outline: Outline,
    steps: tuple[PlannedStep, ...],
    dataset: Dataset,
    transform: Transform[Any],
    device: Device,
    weights: str,
) -> RunPlan:
    splits = {name: len(items) for name, items in dataset.splits.items()}
    return RunPlan(
        name=spec.name,
        strategy=spec.strategy.model_dump(mode="json"),
        backbone={"name": spec.backbone.name, "options": dict(spec.backbone.options)},
        weights=weights,
        head=spec.head.model_dump(mode="json"),
        transforms={
            **spec.transforms.model_dump(mode="json"),
            "size": transform.size,
            "mean": transform.mean,
            "std": transform.std,
        },
        data={**spec.data.model_dump(mode="json"), "images": splits},
        classes=dataset.classes,
        stages=tuple(asdict(stage) for stage in outline.stages),
        steps=steps,
        batches_per_epoch=batches_per_epoch(splits["train"], spec.training.batch_size),
        training=spec.training.model_dump(mode="json"),
        device=describe_device(spec.device.name, device),
        metrics_on="test" if "test" in splits else "validation",
        weights_from="last epoch",
        seed=spec.seed,
    )


def describe_device(name: str, device: Device) -> dict[str, Any]:
    """Return what a device resolved to, as plain data.

    Args:
        name: What the spec calls it.
        device: The device.
    """
    return {
        "name": name,
        "torch_device": str(device.torch_device),
        "precision": device.precision,
        "channels_last": device.channels_last,
        "chunk_size": device.chunk_size,
        "threads": torch.get_num_threads(),
        "reason": device.reason,
    }
