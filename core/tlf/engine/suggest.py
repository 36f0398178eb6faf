"""A spec for a folder of images, and why it is like that."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.backbones import find_backbone, fits_size
from tlf.engine.choices import (
    batch_size,
    epochs,
    listed,
    may_be_characters,
    notes_on_classes,
    possible_sizes,
    run_name,
)
from tlf.engine.parts import Made, default_weights_of, input_config_of, local_weights_of
from tlf.engine.recognise import Recognised, recognise
from tlf.engine.survey import Survey, survey
from tlf.engine.weights import SUFFIXES
from tlf.errors import PluginError, UsageError, WeightsError
from tlf.registry import Registry, check, load_registry
from tlf.spec import RunSpec, load_raw
from tlf.spec.model import TrainingSpec

if TYPE_CHECKING:
    from tlf.plugin import BackboneFamily

#: For want of a default in the spec: small, quick, and good with photographs.
BACKBONE = "torchvision/mobilenet_v2"


@dataclass(frozen=True)
class Reason:
    """Why one thing in a spec is as it is.

    Attributes:
        about: The field, or `note`.
        why: In words.
    """

    about: str
    why: str

    def __str__(self) -> str:
        return f"{self.about}: {self.why}"


@dataclass(frozen=True)
class Suggestion:
    """A spec that fits a folder.

    Attributes:
        spec: The spec, valid, as plain data: what differs from the defaults, or helps to understand.
        reasons: Why it is like that, in the order of the spec.
        warnings: A sentence for each plugin that could not be asked.
    """

    spec: Mapping[str, Any]
    reasons: tuple[Reason, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """The backbone that was chosen.

    Attributes:
        name: `family/model`.
        weights: As a spec writes it: `default`, `none` or a file.
        own_size: Side of the square that the weights saw, in pixels.
        image_size: The size to take instead, or None.
        why: Why this backbone.
        why_weights: What these weights are.
    """

    name: str
    weights: str
    own_size: int
    image_size: int | None
    why: str
    why_weights: str


@dataclass
class _Draft:
    """A spec in the making."""

    spec: dict[str, Any] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)

    def put(self, path: str, value: object, why: str | None = None) -> None:
        """Set a field of the spec, and say why if that is not said elsewhere."""
        *sections, key = path.split(".")
        place = self.spec
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
        if why is not None:
            self.say(path, why)

    def say(self, about: str, why: str) -> None:
        """Add a reason."""
        self.reasons.append(Reason(about, why))


def suggest(
    folder: str | Path, *, backbone: str | None = None, weights: str | None = None
) -> Suggestion:
    """Return a spec for a folder of images. Looks at their headers; decodes and downloads nothing.

    Args:
        folder: What every installed data source is asked about. Paths in the spec begin like this.
        backbone: `family/model`; a small one by default.
        weights: `default` (the library's own), `none` (random), or a file.

    Raises:
        DataError: The folder is not there, or nothing in it can be read.
        UsageError: There is no such backbone, or it has no weights of its own.
        WeightsError: The weights file is not there.
        PluginError: A plugin that the spec needs does not work.
    """
    registry = load_registry()
    place = _at_home(Path(folder))
    name = BACKBONE if backbone is None else backbone
    family, model = find_backbone(registry, name)
    weights, why_weights = _weights(family, model, name, weights)
    found = recognise(registry, place)
    images = survey(found.dataset)
    settings = _settings_of_transform(registry)
    own = input_config_of(family, model, default_weights=weights == "default").size
    sizes = possible_sizes(images.median_side, own) if "size" in settings else ()
    fitting = (size for size in sizes if fits_size(family, model, size, usual=own))
    network = Network(
        name=name,
        weights=weights,
        own_size=own,
        image_size=next(fitting, None),
        why=_summary_of_backbone(is_default=backbone is None),
        why_weights=why_weights,
    )
    mirror = "flip" not in settings or not may_be_characters(images)
    suggestion = put_together(place, found, images, network, mirror=mirror, registry=registry)
    check(load_raw(suggestion.spec), registry)
    return suggestion


def put_together(
    folder: Path,
    found: Recognised,
    images: Survey,
    network: Network,
    *,
    mirror: bool,
    registry: Registry,
) -> Suggestion:
    """Return the spec for what is known, with the reasons. Pure, but for names that it looks up.

    Args:
        folder: As the user wrote it.
        found: The data source and what it lists.
        images: What was seen of the images.
        network: The backbone.
        mirror: Whether mirrored images are of the same class.
        registry: The installed plugins.
    """
    draft = _Draft()
    # Not resolved: a link is called what its owner calls it.
    name = run_name(Path(os.path.abspath(folder)).name)  # noqa: PTH100
    if name is not None:
        draft.put("name", name)
    _put_data(draft, folder, found, images)
    _put_network(draft, network)
    _put_transform(draft, network, mirror=mirror)
    _put_strategy(draft, registry, pretrained=network.weights != "none")
    _put_training(draft, images.splits["train"])
    for note in notes_on_classes(images):
        draft.say("note", note)
    return Suggestion(draft.spec, tuple(draft.reasons), found.warnings)


def _put_data(draft: _Draft, folder: Path, found: Recognised, images: Survey) -> None:
    splits = ", ".join(f"{count:,} {split}" for split, count in images.splits.items())
    classes = listed([f"`{name}`" for name in images.classes])
    others = listed([f"`{name}`" for name in found.others]) if found.others else ""
    draft.put(
        "data.name",
        found.source,
        f"`{found.source}` finds {splits} images of {len(images.classes)} classes: {classes}"
        + (f"; it comes before {others}, which can read them too" if others else ""),
    )
    draft.put("data.options", dict(found.options))
    for note in found.dataset.notes:
        draft.say("data.options", note)
    if not folder.is_absolute():
        draft.say("data.options", "the paths start at the folder that the spec file is in")
    draft.say("images", _seen(images))
    if images.unreadable:
        bad = listed([f"`{one.id}` ({one.reason})" for one in images.unreadable])
        count = len(images.unreadable)
        what = "1 image cannot be read" if count == 1 else f"{count:,} images cannot be read"
        draft.put("data.unreadable", "skip-and-report", f"{what}: {bad}")


def _seen(images: Survey) -> str:
    count = f"{images.looked_at:,} of {images.total:,}, evenly spread"
    which = "all" if images.looked_at == images.total else count
    low, high = ("×".join(map(str, size)) for size in (images.smallest, images.largest))
    sizes = f"{low} pixels" if low == high else f"from {low} to {high} pixels"
    seen = images.looked_at - len(images.unreadable)
    grey = {0: "none grey", seen: "all grey"}.get(images.grey, f"{images.grey:,} grey")
    side = "" if low == high else f", median shorter side {images.median_side}"
    return f"headers of {which}: {sizes}{side}, {grey}"


def _put_network(draft: _Draft, network: Network) -> None:
    draft.say("backbone.name", network.why)
    draft.say("backbone.weights", network.why_weights)
    if network.weights == "default":
        draft.put("backbone", network.name)
    else:
        draft.put("backbone", {"name": network.name, "weights": network.weights})


def _put_transform(draft: _Draft, network: Network, *, mirror: bool) -> None:
    if network.image_size is None and mirror:
        return
    draft.put("transforms.name", RunSpec.model_fields["transforms"].default.name)
    size, own = network.image_size, network.own_size
    if size is not None:
        draft.put(
            "transforms.options.size",
            size,
            f"{size}, because the images are smaller than the {own} pixels that the weights saw: "
            f"an image costs {size**2 / own**2:.0%} of the work; {own} may be more accurate",
        )
    if not mirror:
        draft.put(
            "transforms.options.flip",
            0,
            "0: small and grey, the images may be digits or letters, and a mirrored one is another",
        )


def _put_strategy(draft: _Draft, registry: Registry, *, pretrained: bool) -> None:
    usual = RunSpec.model_fields["strategy"].default.name
    name = usual if pretrained else _strategy_for_random_weights(registry) or usual
    summary = registry.get("strategy", name).declaration.summary
    role = ", the default" if name == usual else ""
    compare = "`tlf compare` tells whether another is better"
    draft.put("strategy", name, f"`{name}`{role}: {summary}; {compare}")


def _strategy_for_random_weights(registry: Registry) -> str | None:
    """Return the first strategy that asks for no others."""
    for entry in registry.entries("strategy"):
        with contextlib.suppress(PluginError):
            if getattr(entry.target(), "pretrained", True) is False:
                return entry.declaration.name
    return None


def _put_training(draft: _Draft, train_images: int) -> None:
    usual = TrainingSpec()
    size = batch_size(train_images, usual.batch_size)
    if size != usual.batch_size:
        few = f"{train_images:,} images to train on are few, and more steps help"
        draft.put("training.batch_size", size, f"{size} instead of {usual.batch_size}: {few}")
    number = epochs(train_images, usual.epochs)
    if number != usual.epochs:
        many = f"{train_images:,} images to train on are many"
        draft.put("training.epochs", number, f"{number} instead of {usual.epochs}: {many}")


def _summary_of_backbone(*, is_default: bool) -> str:
    if not is_default:
        return "as asked for"
    return "small and quick, for a start; `tlf backbones list` shows the others"


def _weights(
    family: Made[BackboneFamily[Any]], model: str, name: str, wanted: str | None
) -> tuple[str, str]:
    """Return what a spec writes for the weights, and what these are."""
    if wanted == "none":
        return wanted, "random, as asked for"
    if wanted is not None and wanted != "default":
        _check_file(_at_home(Path(wanted)))
        return wanted, "as asked for; a relative path starts at the folder that the spec file is in"
    info = default_weights_of(family, model)
    if info is None:
        raise UsageError(
            f"`{name}` has no weights of its own",
            hint="name a file with `--weights FILE`, or take random ones with `--weights none`",
        )
    if local_weights_of(family, model) is not None:
        return "default", "the library's own, which are here already"
    size = "" if info.size_bytes is None else f" ({info.size_bytes / 1e6:,.1f} MB)"
    return "default", f"the library's own, which `tlf run` downloads{size}"


def _at_home(path: Path) -> Path:
    """Return the path with `~` at its beginning resolved, where that means somebody."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _check_file(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise WeightsError(
            f"`{path}` is no weights file",
            hint="give `default`, `none`, or a file that ends in "
            + ", ".join(f"`{suffix}`" for suffix in SUFFIXES),
        )
    # Unlike the path's own method, no error for a name that no file can have.
    if not os.path.isfile(path):  # noqa: PTH113
        raise WeightsError(
            f"the weights file `{path}` does not exist",
            hint="`default` takes the library's own weights",
        )


def _settings_of_transform(registry: Registry) -> frozenset[str]:
    """Return the names of the options that the default transform takes."""
    name = RunSpec.model_fields["transforms"].default.name
    return frozenset(registry.get("transform", name).options_model().model_fields)
