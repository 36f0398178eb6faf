"""The parts of a run that plugins provide: made, asked, and held to what they promise.

Whatever a plugin does wrong here ends with a `PluginError` that names it and its distribution.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeGuard, TypeVar, get_args

import torch

from tlf.data import check_dataset
from tlf.errors import PluginError, Problem, SpecError, TlfError, did_you_mean
from tlf.plugin import (
    Availability,
    Backbone,
    BackboneFamily,
    Choice,
    Dataset,
    DataSource,
    Device,
    DeviceBackend,
    InputConfig,
    Item,
    Observer,
    PlanError,
    Precision,
    Strategy,
    Transform,
    WeightsInfo,
)
from tlf.registry import Entry, Registry, plugin_call
from tlf.spec.model import PartSpec

if TYPE_CHECKING:
    from tlf.plugin import Budget, Outline, Step
    from tlf.spec import RunSpec

PartT = TypeVar("PartT")

#: What every device must set, each with its type; the contract kit looks at the same list.
DEVICE_FIELDS: Mapping[str, type] = {
    "torch_device": torch.device,
    "precision": str,
    "channels_last": bool,
    "chunk_size": int,
    "reason": str,
    "pin_memory": bool,
    "deterministic": bool,
}


@dataclass(frozen=True)
class Made(Generic[PartT]):
    """An object of a plugin's, with the entry that answers for it.

    Attributes:
        entry: What the plugin declares.
        part: The object.
    """

    entry: Entry
    part: PartT

    def calling(self, what: str) -> AbstractContextManager[None]:
        """Return a context for calls of the object; see `plugin_call`.

        Args:
            what: What is called.
        """
        return plugin_call(self.entry, what)

    def require(self, condition: object, what: str) -> None:
        """Check what the object did.

        Args:
            condition: What must hold.
            what: What is wrong if it does not.

        Raises:
            PluginError: It does not hold.
        """
        if not condition:
            raise self.entry.broken(what)


def parts_of(spec: RunSpec) -> tuple[tuple[str, str], ...]:
    """Return kind and name of every plugin's part that takes part in a run.

    Args:
        spec: A valid spec.
    """
    return (
        ("backbone-family", spec.backbone.name.partition("/")[0]),
        ("data-source", spec.data.name),
        ("device", spec.device.name),
        ("strategy", spec.strategy.name),
        ("transform", spec.transforms.name),
        *(("observer", observer.name) for observer in spec.observers),
    )


def make_family(
    registry: Registry, name: str, options: Mapping[str, Any]
) -> Made[BackboneFamily[Any]]:
    """Return a backbone family.

    Args:
        registry: The installed plugins.
        name: Of the family, without a model.
        options: What the spec says.
    """
    return _make(registry, "backbone-family", PartSpec(name=name, options=dict(options)))


def make_strategy(registry: Registry, part: PartSpec) -> Made[Strategy[Any]]:
    """Return a strategy.

    Args:
        registry: The installed plugins.
        part: What the spec says.
    """
    return _make(registry, "strategy", part)


def make_transform(registry: Registry, part: PartSpec, config: InputConfig) -> Made[Transform[Any]]:
    """Return a transform, whose size and normalisation are sane.

    Args:
        registry: The installed plugins.
        part: What the spec says.
        config: What the backbone's weights were trained to see.
    """
    made: Made[Transform[Any]] = _make(registry, "transform", part, config)
    for what in _wrong_input(made.part, ("size",)):
        raise made.entry.broken(what)
    return made


def make_source(registry: Registry, part: PartSpec, folder: Path) -> Made[DataSource[Any]]:
    """Return a data source.

    Args:
        registry: The installed plugins.
        part: What the spec says.
        folder: What relative paths in it start from.
    """
    return _make(registry, "data-source", part, folder)


def make_observers(
    registry: Registry, parts: Sequence[PartSpec], folder: Path
) -> tuple[Made[Observer[Any]], ...]:
    """Return the observers of a run.

    Args:
        registry: The installed plugins.
        parts: What the spec says.
        folder: What relative paths in it start from.
    """
    return tuple(_make(registry, "observer", part, folder) for part in parts)


def make_device(
    registry: Registry, part: PartSpec, unavailable: Callable[[str], TlfError]
) -> Device:
    """Return a device that is ready to run networks.

    Args:
        registry: The installed plugins.
        part: What the spec says.
        unavailable: Makes the error for a device that cannot be used here, of the reason.
    """
    made, found = _find_device(registry, part)
    if not found.available:
        raise unavailable(found.reason)
    with made.calling("`create`"):
        device = made.part.create()
    for what in _wrong_device(device):
        made.require(False, what)
    with made.calling("`reset_peak_memory`"):
        device.reset_peak_memory()
    return device


def fitted_device(device: Device, family: Made[BackboneFamily[Any]]) -> Device:
    """Return a device that runs networks as their family allows it.

    Args:
        device: The device.
        family: Says what its networks can do without.
    """
    fitted = _FittedDevice(device, family)
    fits = (fitted.precision, fitted.channels_last) == (device.precision, device.channels_last)
    return device if fits else fitted


class _FittedDevice(Device):
    """A device without what a family's networks cannot do with."""

    def __init__(self, device: Device, family: Made[BackboneFamily[Any]]) -> None:
        name = family.entry.declaration.name
        self._device = device
        self.torch_device = device.torch_device
        self.chunk_size = device.chunk_size
        self.pin_memory = device.pin_memory
        self.deterministic = device.deterministic
        self.precision = device.precision if family.part.autocast else "float32"
        self.channels_last = device.channels_last and family.part.channels_last
        self.reason = f"{device.reason}, as far as `{name}` networks allow it"

    def autocast(self) -> torch.autocast:
        """Return the device's own context, or one that does nothing in float32."""
        if self.precision == self._device.precision:
            return self._device.autocast()
        return torch.autocast(self.torch_device.type, enabled=False)

    def synchronize(self) -> None:
        """Wait until all work given to the device is done."""
        self._device.synchronize()

    def peak_memory_bytes(self) -> int:
        """Return the most memory that was held on the device so far, in bytes."""
        return self._device.peak_memory_bytes()

    def reset_peak_memory(self) -> None:
        """Count from now on."""
        self._device.reset_peak_memory()


def availability_of(registry: Registry, part: PartSpec) -> Availability:
    """Return whether a device can be used here, and why.

    Args:
        registry: The installed plugins.
        part: Its name and options.
    """
    return _find_device(registry, part)[1]


def pinned_device(registry: Registry, part: PartSpec, device: Device) -> PartSpec:
    """Return what makes the same device again, with the precision that was chosen if it can be told.

    Args:
        registry: The installed plugins.
        part: What the spec says.
        device: What that became.
    """
    entry = registry.get("device", part.name)
    if "precision" not in entry.options_model().model_fields:
        return part
    options = {**part.options, "precision": device.precision}
    try:
        entry.options(options)
    except SpecError:
        # A precision of the device's own that only has that name.
        return part
    return PartSpec(name=part.name, options=options)


def models_of(family: Made[BackboneFamily[Any]]) -> Sequence[str]:
    """Return the names of a family's models.

    Args:
        family: The family.
    """
    with family.calling("`models`"):
        models = family.part.models()
    family.require(_are_texts(models), f"`models` returns {_kind(models)}, not a list of names")
    return models


def check_model(
    family: Made[BackboneFamily[Any]], model: str, name: str, path: str = "backbone"
) -> None:
    """Check that a family has a model.

    Args:
        family: The family.
        model: Name of the model within it.
        name: Of both, as the spec has it.
        path: Where the spec has it.

    Raises:
        SpecError: It does not.
    """
    models = models_of(family)
    if model not in models:
        problem = Problem(
            f"{path}.name",
            f"`{name}` is not known: the family has no model `{model}`",
            did_you_mean(model, models),
        )
        raise SpecError([problem])


def input_config_of(
    family: Made[BackboneFamily[Any]], model: str, *, default_weights: bool
) -> InputConfig:
    """Return what a model's weights were trained to see.

    Args:
        family: The family.
        model: One of its models.
        default_weights: Whether they are the library's own.
    """
    what = f"`input_config` of `{model}`"
    with family.calling(what):
        config = family.part.input_config(model, default_weights=default_weights)
    family.require(
        isinstance(config, InputConfig), f"{what} returns {_kind(config)}, no `InputConfig`"
    )
    for wrong in _wrong_input(config, ("size", "resize")):
        raise family.entry.broken(f"{what}: {wrong}")
    return config


def default_weights_of(family: Made[BackboneFamily[Any]], model: str) -> WeightsInfo | None:
    """Return where the library's own weights of a model come from; None if it has none.

    Args:
        family: The family.
        model: One of its models.
    """
    what = f"`weights` of `{model}`"
    with family.calling(what):
        info = family.part.weights(model)
    family.require(
        info is None or (isinstance(info, WeightsInfo) and isinstance(info.source, str)),
        f"{what} returns {_kind(info)}, no `WeightsInfo` with a source",
    )
    return info


def local_weights_of(family: Made[BackboneFamily[Any]], model: str) -> Path | None:
    """Return the file with the library's own weights of a model if it is here already.

    Args:
        family: The family.
        model: One of its models.
    """
    what = f"`local_weights` of `{model}`"
    with family.calling(what):
        path = family.part.local_weights(model)
        family.require(
            path is None or (isinstance(path, Path) and path.is_file()),
            f"{what} returns `{path!r}`, which is no `Path` of a file that is there",
        )
    return path


def build_backbone(family: Made[BackboneFamily[Any]], model: str, image_size: int) -> Backbone:
    """Return a model as a backbone with random weights, on the default device.

    Args:
        family: The family.
        model: One of its models.
        image_size: Side of the square input image, in pixels.
    """
    what = f"building `{model}` for images of {image_size} pixels"
    with family.calling(what):
        backbone = family.part.build(model, image_size)
    family.require(isinstance(backbone, Backbone), f"{what} gives {_kind(backbone)}, no `Backbone`")
    return backbone


def outline_backbone(
    family: Made[BackboneFamily[Any]],
    model: str,
    image_size: int,
    *,
    usual: int,
    wrong_size: Callable[[str], TlfError],
) -> Backbone:
    """Return a model as a backbone on the meta device, where it costs no memory.

    Args:
        family: The family.
        model: One of its models.
        image_size: Side of the square input image, in pixels.
        usual: The size that the model's weights were trained with.
        wrong_size: Makes the error for a size that the network cannot take, of its own reason.

    Raises:
        PluginError: It can be built for no size, so that the family is to blame.
    """
    with torch.device("meta"):
        try:
            return build_backbone(family, model, image_size)
        except PluginError as error:
            # It is the size if another size works, and the family if none does.
            if image_size == usual:
                raise
            build_backbone(family, model, usual)
            cause = error.__cause__ or error
            reason = " ".join(str(cause).split()).rstrip(".") or type(cause).__name__
            raise wrong_size(reason) from error


def open_source(source: Made[DataSource[Any]]) -> Dataset:
    """Return the data set of a data source, which keeps what data sources promise.

    Args:
        source: The data source.
    """
    with source.calling("`open`"):
        dataset = source.part.open()
    for what in _wrong_dataset(dataset):
        raise source.entry.broken(what)
    try:
        check_dataset(dataset)
    except PluginError as error:
        raise source.entry.broken(error.message) from error
    return dataset


def steps_of(
    strategy: Made[Strategy[Any]], outline: Outline, budget: Budget
) -> tuple[Step, ...] | Choice:
    """Return the steps that a strategy proposes, which the planner has yet to check; or its choice.

    Args:
        strategy: The strategy.
        outline: The network.
        budget: What may be spent.

    Raises:
        SpecError: The strategy's options cannot be carried out on this network.
    """
    with planning(strategy, "`steps`"):
        steps = strategy.part.steps(outline, budget)
    if isinstance(steps, Choice):
        return steps
    strategy.require(_is_list(steps), f"`steps` returns {_kind(steps)}, not a list of steps")
    return tuple(steps)


@contextmanager
def planning(strategy: Made[Strategy[Any]], what: str) -> Iterator[None]:
    """Tell the user of options that a strategy cannot carry out, and of all else that it is broken.

    Args:
        strategy: Is called inside.
        what: What is called.

    Raises:
        SpecError: The strategy's options cannot be carried out on this network.
        PluginError: It fails.
    """
    with strategy.calling(what):
        try:
            yield
        except PlanError as error:
            problems = [
                Problem(f"strategy.options.{one.option}".removesuffix("."), one.message, one.hint)
                for one in (error, *error.others)
            ]
            raise SpecError(problems) from error


def described_options(transform: Made[Transform[Any]]) -> dict[str, object]:
    """Return the options of a transform as they resolved, as JSON values.

    Args:
        transform: The transform.
    """
    with transform.calling("`describe`"):
        described = dict(transform.part.describe())
        json.dumps(described)
    return described


def _make(registry: Registry, kind: str, part: PartSpec, *more: object) -> Made[Any]:
    entry = registry.get(kind, part.name)
    return Made(entry, entry.create(entry.options(part.options), *more))


def _find_device(
    registry: Registry, part: PartSpec
) -> tuple[Made[DeviceBackend[Any]], Availability]:
    made: Made[DeviceBackend[Any]] = _make(registry, "device", part)
    with made.calling("`is_available`"):
        found = made.part.is_available()
    made.require(
        isinstance(found, Availability) and isinstance(found.available, bool),
        f"`is_available` returns {_kind(found)}, no `Availability` that says yes or no",
    )
    return made, replace(found, reason=str(found.reason))


def _wrong_input(thing: object, sides: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each size or normalisation of a thing that is none."""
    for name in sides:
        side = getattr(thing, name, None)
        if type(side) is not int or side < 1:
            yield f"its `{name}` is `{side!r}`, not a number of pixels"
    for name, least in (("mean", -math.inf), ("std", 0.0)):
        values = getattr(thing, name, None)
        if not _are_three_above(values, least):
            above = " above 0" if name == "std" else ""
            yield f"its `{name}` is `{values!r}`, not three finite numbers{above}"


def _wrong_device(device: object) -> Iterator[str]:
    if not isinstance(device, Device):
        yield f"`create` returns {_kind(device)}, no `Device`"
        return
    for name, wanted in DEVICE_FIELDS.items():
        value = getattr(device, name, None)
        if not isinstance(value, wanted):
            yield f"the `{name}` of its device is {_kind(value)}, no `{wanted.__name__}`"
    if getattr(device, "precision", None) not in get_args(Precision):
        yield f"the precision `{device.precision}` of its device is none that is known"
    if device.chunk_size < 1:
        yield f"the chunk size `{device.chunk_size}` of its device is below 1"


def _wrong_dataset(dataset: object) -> Iterator[str]:
    """Yield a sentence for each value of a data set that is of a wrong type."""
    if not isinstance(dataset, Dataset):
        yield f"`open` returns {_kind(dataset)}, no `Dataset`"
        return
    for name in ("classes", "notes"):
        if not _are_texts(getattr(dataset, name)):
            yield f"the `{name}` of its data set are {_kind(getattr(dataset, name))}, not texts"
    if not isinstance(dataset.splits, Mapping) or not _are_texts(list(dataset.splits)):
        yield f"the `splits` of its data set are {_kind(dataset.splits)}, not items by name"
        return
    for name, items in dataset.splits.items():
        if not _is_list(items):
            yield f"the split `{name}` of its data set is {_kind(items)}, not a list of items"
            continue
        yield from (f"the split `{name}` {what}" for what in map(_wrong_item, items) if what)


def _wrong_item(item: object) -> str | None:
    if not isinstance(item, Item):
        return f"holds {_kind(item)}, no `Item`"
    if not isinstance(item.id, str):
        return f"has the id `{item.id!r}`, which is no text"
    if not callable(item.read):
        return f"has {_kind(item.read)} as `read` of `{item.id}`, which cannot be called"
    return None


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _are_texts(values: object) -> bool:
    return _is_list(values) and all(isinstance(value, str) for value in values)


def _are_three_above(values: object, least: float) -> bool:
    return (
        isinstance(values, Sequence)
        and len(values) == 3
        and all(isinstance(v, int | float) and math.isfinite(v) and v > least for v in values)
    )


def _kind(value: object) -> str:
    """Return what a value is, in words: `None`, or its type."""
    return "`None`" if value is None else f"a `{type(value).__name__}`"
