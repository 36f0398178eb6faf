"""A comparison: a base spec, and a grid over any of its fields."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, JsonValue

from tlf.errors import SpecError
from tlf.spec.model import FORBID
from tlf.spec.paths import resolve_path
from tlf.spec.reading import RawSpec
from tlf.spec.validation import validate_values

#: What tells a comparison from the spec of a single run.
KEYS = frozenset({"base", "grid"})


class ComparisonSpec(BaseModel):
    """What to compare. Every combination of the grid's values is run with every seed."""

    model_config = FORBID

    base: str | dict[str, JsonValue] = Field(
        description="The spec that is varied, or its file. A relative path starts at this file's "
        "folder."
    )
    grid: dict[
        Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")],
        Annotated[list[JsonValue], Field(min_length=1)],
    ] = Field(
        description="Values by field: `strategy`, `backbone`, `training.learning_rate`, "
        "`data.options.shots`. What differs in `data` is never ranked against each other."
    )
    seeds: int = Field(default=1, ge=1, le=1000, description="How many, from the base's `seed` on.")


def is_comparison(raw: RawSpec) -> bool:
    """Say whether what was read is meant as a comparison, not as a single run.

    Args:
        raw: What was read.
    """
    return bool(KEYS & raw.values.keys())


def check_comparison(raw: RawSpec) -> ComparisonSpec:
    """Check a comparison's own shape; its base is checked with each combination.

    Args:
        raw: What was read.

    Raises:
        SpecError: Something is wrong; all of it is in the error.
    """
    found, problems = validate_values(ComparisonSpec, raw.values)
    if found is None or problems:
        raise SpecError(problems, source=raw.source)
    return found


def base_of(found: ComparisonSpec, raw: RawSpec) -> str | dict[str, Any]:
    """Return the base spec, or the path of its file.

    Args:
        found: The comparison.
        raw: What it was read from.

    Raises:
        SpecError: No file can have that path.
    """
    if isinstance(found.base, str):
        return str(resolve_path(raw.folder, found.base, "base"))
    return dict(found.base)
