"""Checking JSON values against pydantic models, with all that is wrong as problems.

Values are taken for what they are: `"3"` and `true` are no numbers, whatever Python makes of them. So
what passes here is what the JSON Schema of a model describes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from tlf.errors import Problem
from tlf.spec.json_values import below, inside, plain
from tlf.spec.model import RunSpec
from tlf.spec.problems import problems_of
from tlf.spec.words import shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from tlf.spec.reading import RawSpec

ModelT = TypeVar("ModelT", bound=BaseModel)

_SCALAR = frozenset({"bool_type", "float_type", "int_type", "literal_error", "string_type"})


def validate(raw: RawSpec) -> tuple[RunSpec | None, list[Problem]]:
    """Check the shape of a spec: everything but names and options of plugins.

    Args:
        raw: The spec.

    Returns:
        The valid spec, or None if there are problems; and the problems.
    """
    return validate_values(RunSpec, raw.values)


def validate_values(
    model: type[ModelT], values: Mapping[str, Any], prefix: str = ""
) -> tuple[ModelT | None, list[Problem]]:
    """Check values against a model.

    Strict checking alone would not do: once a value went through a validator, pydantic no longer
    knows that it was JSON, and strictly a list is then no tuple.

    Args:
        model: The model.
        values: An object.
        prefix: Where the object stands in the spec.

    Returns:
        The valid model, or None if there are problems; and the problems.
    """
    problems: list[Problem] = []
    cleaned = plain(values, problems, prefix)
    if problems:
        return None, problems
    text = json.dumps(cleaned)
    strict = _check(model, text, strict=True)
    if isinstance(strict, BaseModel):
        return strict, []
    lax = _check(model, text, strict=False)
    if isinstance(lax, BaseModel):
        problems = list(_converted(cleaned, _dumped(lax), prefix))
        return None if problems else lax, problems
    known = {error["loc"] for error in lax}
    more = [error for error in strict if error["loc"] not in known and _is_certain(error, cleaned)]
    return None, problems_of([*lax, *more], model, cleaned, prefix)


def _check(model: type[ModelT], text: str, *, strict: bool) -> ModelT | list[ErrorDetails]:
    try:
        return model.model_validate_json(text, strict=strict)
    except ValidationError as error:
        return error.errors(include_url=False)


def _dumped(model: BaseModel) -> object:
    try:
        return model.model_dump(mode="json", by_alias=True, warnings=False)
    except PydanticSerializationError:
        return None


def _converted(before: object, after: object, path: str) -> Iterator[Problem]:
    """Yield a problem for each scalar that pydantic took for one of another type."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [key for key in before if key in after]:
            yield from _converted(before[key], after[key], below(path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _converted(one, other, below(path, index))
    elif _is_scalar(before) and _is_scalar(after) and _was_converted(before, after):
        wanted = {bool: "`true` or `false`", int: "a whole number", float: "a number"}
        message = f"must be {wanted.get(type(after), 'text')}, not {shown(before)}"
        yield Problem(path, message)


def _was_converted(before: object, after: object) -> bool:
    if isinstance(before, str):
        # A validator may well turn a word into a number; pydantic by itself only reads digits.
        return isinstance(after, bool) or (
            isinstance(after, int | float) and any(map(str.isdigit, before))
        )
    if isinstance(before, bool) or isinstance(after, bool):
        return type(before) is not type(after)
    return type(before) is not type(after) and not (
        isinstance(before, int) and isinstance(after, float)
    )


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def _is_certain(error: ErrorDetails, values: object) -> bool:
    """Whether what strict checking says of a scalar has nothing to do with lists and tuples."""
    rest = list(error["loc"])
    while rest and inside(values, rest[0]) is not None:
        values = inside(values, rest.pop(0))
    # What is left over, if anything, is which of several types of a scalar the error speaks of.
    return error["type"] in _SCALAR and _is_scalar(values) and len(rest) <= 1
