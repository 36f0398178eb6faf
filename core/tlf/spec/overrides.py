"""Overrides: fields of a spec that are changed on the command line, `path.to.field=value`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from tlf.errors import Problem
from tlf.spec.fields import field_at, models_in
from tlf.spec.json_values import parse_value, plain
from tlf.spec.words import shown


@dataclass(frozen=True)
class Override:
    """One field to change.

    Attributes:
        parts: Keys on the way to it.
        value: What it becomes.
    """

    parts: tuple[str, ...]
    value: Any

    @property
    def path(self) -> str:
        """The field, as the user wrote it."""
        return ".".join(self.parts)


def parse_overrides(overrides: Iterable[str], problems: list[Problem]) -> list[Override]:
    """Return what overrides say.

    Args:
        overrides: Each `path.to.field=value`.
        problems: Gets a problem for each one that is malformed.
    """
    parsed = []
    for text in overrides:
        path, equals, written = text.partition("=")
        parts = tuple(part.strip() for part in path.split("."))
        if not equals or not all(parts):
            what = "has no `=`" if not equals else "names no field"
            message = f"the override `{text}` {what}"
            problems.append(Problem("", message, "write it as `training.epochs=3`"))
            continue
        value = plain(_read_value(parts, written), problems, ".".join(parts))
        parsed.append(Override(parts, value))
    return parsed


def apply_overrides(
    values: dict[str, Any], overrides: Sequence[Override], problems: list[Problem]
) -> None:
    """Change the values of a spec.

    Args:
        values: The spec's object; changed.
        overrides: What to change, in this order.
        problems: Gets a problem for each one that has no place.
    """
    for override in overrides:
        holder = _holder(values, override, problems)
        if holder is not None:
            _set(holder, override, problems)


def _read_value(parts: tuple[str, ...], written: str) -> Any:  # noqa: ANN401 - any JSON value
    value = parse_value(written)
    field = field_at(parts)
    # `name=2024` is meant as text, for nothing else would do.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and field is not None and field.annotation in (str, Path):
        return written
    return value


def _holder(values: dict[str, Any], override: Override, problems: list[Problem]) -> Any:  # noqa: ANN401
    """Return the object or list that the field is in; missing objects are made."""
    holder: Any = values
    for depth in range(1, len(override.parts)):
        key, way = override.parts[depth - 1], override.parts[:depth]
        if isinstance(holder, list) and key.isdecimal() and int(key) < len(holder):
            holder = holder[int(key)]
            continue
        if isinstance(holder, dict):
            holder[key] = _opened(holder.get(key), field_at(way))
            holder = holder[key]
        if not isinstance(holder, dict | list):
            path = ".".join(way)
            message = f"cannot be set, because `{path}` is {shown(holder)} and not an object"
            problems.append(Problem(override.path, message))
            return None
    return holder


def _opened(value: Any, field: FieldInfo | None) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as the object that it stands for, if it stands for one."""
    named = field is not None and any("name" in m.model_fields for m in models_in(field.annotation))
    if value is None:
        # What is set below a part that the spec leaves out is set in its default.
        default = getattr(field.default, "name", None) if field is not None else None
        return {"name": default} if named and isinstance(default, str) else {}
    return {"name": value} if named and isinstance(value, str) else value


def _set(holder: dict[str, Any] | list[Any], override: Override, problems: list[Problem]) -> None:
    key, value = override.parts[-1], override.value
    if isinstance(holder, list):
        if key.isdecimal() and int(key) < len(holder):
            holder[int(key)] = value
        else:
            message = f"`{key}` is no place in a list of {len(holder)}"
            problems.append(Problem(override.path, message))
        return
    before = holder.get(key)
    # A part's name again changes nothing; another name leaves the options of the first behind.
    if not (isinstance(before, dict) and isinstance(value, str) and before.get("name") == value):
        holder[key] = value
