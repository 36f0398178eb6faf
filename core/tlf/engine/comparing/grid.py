"""What a comparison varies: axes, their combinations, and a run for each combination and seed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from tlf.errors import PluginError, Problem, SpecError
from tlf.registry import Registry, check
from tlf.spec import RawSpec, RunSpec
from tlf.spec.overrides import Override, apply_overrides

#: Where a spec says what the user has: rows that differ in it are not ranked against each other.
GIVEN = "data"


@dataclass(frozen=True)
class Axis:
    """One field that is varied.

    Attributes:
        path: The field, `training.learning_rate`.
        values: What it takes, as JSON.
    """

    path: str
    values: tuple[Any, ...]

    @property
    def label(self) -> str:
        """The field's own name."""
        return self.path.rpartition(".")[2]

    @property
    def is_given(self) -> bool:
        """Whether it says what the user has, rather than what is done with it."""
        return self.path.partition(".")[0] == GIVEN

    def name(self, value: object) -> str:
        """Return what a value is called: `full-fine-tuning`, `learning_rate 0.01`.

        Args:
            value: One of `values`.
        """
        text = text_of(value)
        return text if isinstance(value, str | Mapping) else f"{self.label} {text}"

    def as_json(self) -> dict[str, Any]:
        """Return what `comparison.json` holds of it."""
        return {
            "path": self.path,
            "label": self.label,
            "values": [text_of(value) for value in self.values],
        }


@dataclass(frozen=True)
class Variant:
    """One combination of values.

    Attributes:
        name: What it is called among those of its group.
        group: Number of the group, from 0: the combination of what the user has.
        values: By path, what each axis takes.
        raw: The spec, with the base's seed.
        spec: The same, checked.
    """

    name: str
    group: int
    values: Mapping[str, Any]
    raw: RawSpec
    spec: RunSpec


@dataclass(frozen=True)
class PlannedCell:
    """A run that is to be carried out.

    Attributes:
        variant: Number of its variant in the grid.
        seed: The run's seed.
        raw: The spec.
        directory: What its directory is called, if that is free.
    """

    variant: int
    seed: int
    raw: RawSpec
    directory: str


@dataclass(frozen=True)
class Grid:
    """All that a comparison runs.

    Attributes:
        axes: What is varied.
        groups: Names of the groups; one empty name if nothing that the user has is varied.
        variants: The combinations, group after group.
        seeds: Of each combination.
    """

    axes: tuple[Axis, ...]
    groups: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]

    def of_group(self, group: int) -> list[int]:
        """Return the numbers of the variants of a group.

        Args:
            group: The group's number.
        """
        return [index for index, one in enumerate(self.variants) if one.group == group]

    def cells(self) -> Iterator[PlannedCell]:
        """Yield the runs, seed after seed: whenever it ends, all have had as many as any other."""
        names = _folder_names(self)
        for seed in self.seeds:
            for index, variant in enumerate(self.variants):
                raw = _with_values(variant.raw, {**variant.raw.values, "seed": seed})
                yield PlannedCell(index, seed, raw, f"{names[index]}-seed-{seed}")


def text_of(value: object) -> str:
    """Return a value in a few words.

    Args:
        value: Plain data.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        options = value.get("options")
        more = {**value, **(options if isinstance(options, Mapping) else {})}
        words = [f"{key}={text_of(more[key])}" for key in more if key not in ("name", "options")]
        return f"{value['name']} ({', '.join(words)})" if words else value["name"]
    return json.dumps(value, ensure_ascii=False)


def make_grid(base: RawSpec, axes: Sequence[Axis], seeds: int, registry: Registry) -> Grid:
    """Return all combinations, each checked.

    Args:
        base: The spec that is varied.
        axes: What is varied.
        seeds: How many seeds, from the base's own on.
        registry: The installed plugins.

    Raises:
        SpecError: A combination is no valid spec; all that is wrong in any is in the error.
        PluginError: The specs may be right, but a plugin that one needs is missing or broken.
    """
    _check_axes(axes, base.source)
    # What the user has goes round slowest, so that a group's rows stand together.
    given = [axis for axis in axes if axis.is_given]
    chosen = [axis for axis in axes if not axis.is_given]
    problems: list[Problem] = []
    missing: list[PluginError] = []
    variants = []
    groups = []
    for group, outer in enumerate(product(*(axis.values for axis in given))):
        groups.append(_name_of(given, outer))
        for inner in product(*(axis.values for axis in chosen)):
            values = dict(
                zip([axis.path for axis in (*given, *chosen)], (*outer, *inner), strict=True)
            )
            raw = _varied(base, values, problems)
            spec = _checked(raw, registry, problems, missing)
            if spec is not None:
                name = _name_of(chosen, inner) or spec.strategy.name
                variants.append(Variant(name, group, values, raw, spec))
    if problems:
        raise SpecError(dict.fromkeys(problems), source=base.source)
    if missing:
        raise missing[0]
    first = variants[0].spec.seed
    numbers = tuple(range(first, first + seeds))
    return Grid(tuple(axes), tuple(groups), tuple(variants), numbers)


def _name_of(axes: Sequence[Axis], values: Sequence[object]) -> str:
    return ", ".join(axis.name(value) for axis, value in zip(axes, values, strict=True))


def _check_axes(axes: Sequence[Axis], source: str | None) -> None:
    problems = []
    paths = [axis.path for axis in axes]
    for axis in axes:
        # By what rows are called: a name alone, and as an object without options, mean the same.
        names = [axis.name(value) for value in axis.values]
        for number, value in enumerate(axis.values):
            if names[number] in names[:number]:
                problems.append(Problem(axis.path, f"`{text_of(value)}` is named twice"))
        if axis.path == "seed":
            message = "seeds are no field to vary: every combination has the same"
            problems.append(Problem("seed", message, "say how many with `seeds`"))
        if paths.count(axis.path) > 1:
            problems.append(Problem(axis.path, "is varied twice"))
        for other in paths:
            if other.startswith(f"{axis.path}."):
                message = f"is varied both as a whole and in `{other}`"
                hint = "write what differs into the values of the one"
                problems.append(Problem(axis.path, message, hint))
    if problems:
        raise SpecError(dict.fromkeys(problems), source=source)


def _varied(base: RawSpec, values: Mapping[str, Any], problems: list[Problem]) -> RawSpec:
    changed = json.loads(json.dumps(base.values))
    overrides = [Override(tuple(path.split(".")), value) for path, value in values.items()]
    apply_overrides(changed, overrides, problems)
    return _with_values(base, changed)


def _checked(
    raw: RawSpec, registry: Registry, problems: list[Problem], missing: list[PluginError]
) -> RunSpec | None:
    try:
        return check(raw, registry)
    except SpecError as error:
        problems += error.problems
    except PluginError as error:
        missing.append(error)
    return None


def _with_values(raw: RawSpec, values: Mapping[str, Any]) -> RawSpec:
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    return replace(raw, values=values, text=text)


def _folder_names(grid: Grid) -> list[str]:
    """Return a name for each variant that any file system takes, no two the same."""
    names: list[str] = []
    for variant in grid.variants:
        words = (variant.name, grid.groups[variant.group])
        name = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(filter(None, words))).strip("-.")[:80]
        tried = (
            name or "run",
            *(f"{name or 'run'}-{number}" for number in range(2, len(names) + 3)),
        )
        names.append(next(one for one in tried if one not in names))
    return names
