"""What backbones there are, and what one of them is made of. Nothing is downloaded or allocated."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.parts import (
    Made,
    default_weights_of,
    input_config_of,
    local_weights_of,
    make_family,
    models_of,
    outline_backbone,
)
from tlf.errors import PluginError, TlfError, UsageError
from tlf.plugin import Backbone, BackboneFamily, InputConfig, StageOutline, WeightsInfo
from tlf.registry.missing import explain_missing

if TYPE_CHECKING:
    from tlf.registry import Registry

FAMILY = "backbone-family"

#: How many names a hint gives, and how much less like the wanted one than the best they may be.
HINTED = 3
AS_NEAR = 0.03

ALL = "`tlf backbones list` shows all there are"


@dataclass(frozen=True)
class ListedBackbone:
    """A backbone in a list.

    Attributes:
        name: `family/model`.
        weights: Where the library's own weights come from; None if it has none.
    """

    name: str
    weights: WeightsInfo | None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "name": self.name,
            "weights": None if self.weights is None else asdict(self.weights),
        }


@dataclass(frozen=True)
class BackboneList:
    """The backbones that there are.

    Attributes:
        backbones: By family, in the family's order.
        warnings: A sentence for each family or plugin that could not be asked.
    """

    backbones: tuple[ListedBackbone, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class BackboneFacts:
    """What is known of a backbone without its weights.

    Attributes:
        name: `family/model`.
        image_size: Side of the square input image that the stages are given for, in pixels.
        input_config: What its weights were trained to see.
        output_width: Number of features.
        stages: In order.
        imbalances: What the split into stages lacks, a sentence each.
        weights: Where the library's own weights come from; None if it has none.
        local_weights: Their file if it is here.
    """

    name: str
    image_size: int
    input_config: InputConfig
    output_width: int
    stages: tuple[StageOutline, ...]
    imbalances: tuple[str, ...]
    weights: WeightsInfo | None
    local_weights: Path | None

    @property
    def parameters(self) -> int:
        """How many parameters it has."""
        return sum(stage.parameter_count for stage in self.stages)

    @property
    def flops(self) -> int:
        """Floating-point operations for one image, two to a multiply-add."""
        return sum(stage.flops for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        local = None if self.local_weights is None else str(self.local_weights)
        return {
            **asdict(self),
            "local_weights": local,
            "parameters": self.parameters,
            "flops": self.flops,
        }


def list_backbones(registry: Registry, pattern: str | None = None) -> BackboneList:
    """Return the backbones that there are; a family that does not work is passed over.

    Args:
        registry: The installed plugins.
        pattern: Only these: a part of the name, or, if it holds `*`, `?` or `[`, a shell pattern for
            the whole name or for what follows the family. Capitals do not matter.

    Raises:
        UsageError: Nothing matches.
    """
    warnings = [
        f"the plugin `{record.name}` ({record.origin}) is {record.state}: {record.reason}; if it "
        "provides backbones, they are missing here"
        for record in registry.plugins
        if record.state != "ok"
    ]
    found: list[ListedBackbone] = []
    names: list[str] = []
    for entry in registry.entries(FAMILY):
        family = entry.declaration.name
        try:
            made = make_family(registry, family, {})
            models = {f"{family}/{model}": model for model in models_of(made)}
            matching = [name for name in models if pattern is None or _matches(name, pattern)]
            found += [
                ListedBackbone(name, default_weights_of(made, models[name])) for name in matching
            ]
        except TlfError as error:
            warnings.append(f"the backbones of `{family}` are missing here: {error.message}")
        else:
            names += models
    if pattern is not None and not found:
        raise UsageError(
            f"no backbone matches `{pattern}`",
            hint=_did_you_mean(pattern, names) or ALL,
        )
    return BackboneList(tuple(found), tuple(warnings))


def describe_backbone(
    registry: Registry, name: str, image_size: int | None = None
) -> BackboneFacts:
    """Return what is known of a backbone.

    Args:
        registry: The installed plugins.
        name: `family/model`.
        image_size: Side of the square input image, in pixels; by default what its weights saw.

    Raises:
        UsageError: There is no such backbone, or it cannot take images of that size.
        PluginError: The family does not work.
    """
    family, model = find_backbone(registry, name)
    weights = default_weights_of(family, model)
    config = input_config_of(family, model, default_weights=weights is not None)
    size = image_size or config.size
    backbone = _outline(family, model, size, usual=config.size)
    return BackboneFacts(
        name=name,
        image_size=size,
        input_config=config,
        output_width=backbone.output_width,
        stages=tuple(stage.outline for stage in backbone.stages),
        imbalances=tuple(backbone.imbalances),
        weights=weights,
        local_weights=None if weights is None else local_weights_of(family, model),
    )


def find_backbone(registry: Registry, name: str) -> tuple[Made[BackboneFamily[Any]], str]:
    """Return the family that a backbone is of, with its default options, and the model's name in it.

    Args:
        registry: The installed plugins.
        name: `family/model`.

    Raises:
        UsageError: There is no such backbone; the nearest ones are named.
        PluginError: The family, or the plugin that would provide it, does not work.
    """
    family_name, _, model = name.partition("/")
    if registry.find(FAMILY, family_name) is None:
        raise _no_family(registry, name)
    family = make_family(registry, family_name, {})
    models = models_of(family)
    if model in models:
        return family, model
    all_of_it = f"`tlf backbones list '{family_name}/*'` lists its models"
    if not model:
        raise UsageError(f"`{name}` is a family, and names no model", hint=all_of_it)
    # Without the family: it would make every name in it alike.
    near = _did_you_mean(model, [f"{family_name}/{known}" for known in models])
    raise UsageError(f"the family `{family_name}` has no model `{model}`", hint=near or all_of_it)


def _no_family(registry: Registry, name: str) -> TlfError:
    """Return the error for a backbone of a family that is not there."""
    near = _did_you_mean(name, _all_names(registry))
    family, _, model = name.partition("/")
    families = [entry.declaration.name for entry in registry.entries(FAMILY)]
    missing = explain_missing(FAMILY, family, families, registry.plugins)
    if missing.is_plugin_problem and near is None and model:
        return PluginError(missing.message, hint=missing.hint)
    return UsageError(f"no backbone is called `{name}`", hint=near or ALL)


def fits_size(
    family: Made[BackboneFamily[Any]], model: str, image_size: int, *, usual: int
) -> bool:
    """Say whether a network takes images of a size, with the weights that it has for another.

    Args:
        family: The family.
        model: One of its models.
        image_size: Side of the square input image, in pixels.
        usual: A size that it takes for sure: if it does not, the family is broken.

    Raises:
        PluginError: It cannot be built for any size.
    """
    try:
        networks = [_outline(family, model, size, usual=usual) for size in (image_size, usual)]
    except UsageError:
        return False
    # A table of positions, say, has a row for each part of the image.
    first, second = (
        {name: tensor.shape for name, tensor in network.module.state_dict().items()}
        for network in networks
    )
    return first == second


def _outline(
    family: Made[BackboneFamily[Any]], model: str, image_size: int, *, usual: int
) -> Backbone:
    """Return a backbone on the meta device; a `UsageError` if only the size is to blame."""
    name = f"{family.entry.declaration.name}/{model}"

    def wrong_size(reason: str) -> UsageError:
        return UsageError(
            f"`{name}` cannot take images of `{image_size}` pixels: {reason}",
            hint=f"take {usual}, the size that its weights were trained with",
        )

    return outline_backbone(family, model, image_size, usual=usual, wrong_size=wrong_size)


def _matches(name: str, pattern: str) -> bool:
    name, pattern = name.lower(), pattern.lower()
    if not set(pattern) & set("*?["):
        return pattern in name
    parts = (name, name.partition("/")[2])
    return any(fnmatch.fnmatchcase(part, pattern) for part in parts)


def _all_names(registry: Registry) -> Iterator[str]:
    for entry in registry.entries(FAMILY):
        try:
            models = models_of(make_family(registry, entry.declaration.name, {}))
        except TlfError:
            continue
        yield from (f"{entry.declaration.name}/{model}" for model in models)


def _did_you_mean(wanted: str, names: Iterable[str]) -> str | None:
    names = list(names)
    containing = [name for name in names if _matches(name, wanted)]
    near = [name for name in containing if name.partition("/")[2] == wanted]
    if len(containing) > HINTED and not near:
        return f"`tlf backbones list '{wanted}'` lists those with that in their name"
    near = near or containing or list(nearest_backbones(wanted, names))
    return f"did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else None


def nearest_backbones(wanted: str, names: Iterable[str]) -> Sequence[str]:
    """Return the names that the user may have meant, the nearest first.

    A name without its family is near too, and so is one with its words joined or parted otherwise:
    `mobilenetv2` is near `torchvision/mobilenet_v2`.

    Args:
        wanted: What the user wrote.
        names: `family/model` of what there is.
    """
    by_letters: dict[str, list[str]] = {}
    for name in names:
        for part in (name, name.partition("/")[2]):
            by_letters.setdefault(_letters(part), []).append(name)
    letters = _letters(wanted)
    near = difflib.get_close_matches(letters, by_letters, n=HINTED, cutoff=0.7)
    # Beside a slip of the pen, what is merely of the same kind is noise.
    alike = {other: difflib.SequenceMatcher(None, other, letters).ratio() for other in near}
    best = [other for other in near if alike[other] > alike[near[0]] - AS_NEAR]
    return list(dict.fromkeys(name for other in best for name in by_letters[other]))[:HINTED]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
