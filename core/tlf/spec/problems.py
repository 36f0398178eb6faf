"""From pydantic's errors to problems: one for each thing that the user has to change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tlf.errors import Problem, did_you_mean, nearest
from tlf.spec.fields import fields_of, models_in, paths_of
from tlf.spec.json_values import below, inside
from tlf.spec.words import choices, either, expected, shown

#: How the types of pydantic's errors end that say that a value is of another type altogether.
_OTHER_TYPE = ("_type", "_parsing")

#: The types of those that say that it is none of the words that there are.
_OTHER_WORD = frozenset({"enum", "literal_error"})


@dataclass(frozen=True)
class _Found:
    """One of pydantic's errors, put where it belongs.

    Attributes:
        path: Keys and indices on the way to the value, as the user writes them.
        union: The part of `path` that leads to the first value that could be one of several types.
        branch: Which of those types the error speaks of; None if there was no choice.
        fields: The fields that there are beside the last key.
        error: What pydantic says.
    """

    path: tuple[str, ...]
    union: tuple[str, ...]
    branch: str | None
    fields: Mapping[str, FieldInfo]
    error: Mapping[str, Any]


def problems_of(
    errors: Iterable[Mapping[str, Any]], model: type[BaseModel], values: object, prefix: str = ""
) -> list[Problem]:
    """Return what is wrong, in words.

    Args:
        errors: Pydantic's error details.
        model: The model that the values were checked against.
        values: The values.
        prefix: Where the values stand in the spec.
    """
    found = [_locate(error, model, values) for error in errors if not _follows(error)]
    alone = [(item,) for item in found if item.branch is None]
    unions: dict[tuple[str, ...], list[_Found]] = {}
    for item in found:
        if item.branch is not None:
            unions.setdefault(item.union, []).append(item)
    groups = [*alone, *(group for items in unions.values() for group in _of_one_branch(items))]
    groups.sort(key=lambda group: found.index(group[0]))
    return [_problem(group, model, prefix) for group in groups]


def _follows(error: Mapping[str, Any]) -> bool:
    """Say whether a list is called too short only because items in it are wrong, which is said."""
    if error["type"] != "too_short":
        return False
    given = error["input"]
    return isinstance(given, Sequence) and len(given) >= error["ctx"]["min_length"]


def _locate(error: Mapping[str, Any], model: type[BaseModel], values: object) -> _Found:
    """Follow an error's location, which also names types of unions, through values and models."""
    models: list[type[BaseModel]] = [model]
    beside: Mapping[str, FieldInfo] = {}
    path: list[str] = []
    union, branch = None, None
    for number, item in enumerate(error["loc"], start=1):
        fields = fields_of(models)
        last_is_missing = error["type"] == "missing" and number == len(error["loc"])
        there = isinstance(values, Mapping) and item in values
        if not (isinstance(item, int) or item in fields or there or last_is_missing):
            union, branch = (tuple(path), str(item)) if branch is None else (union, branch)
            chosen = [candidate for candidate in models if candidate.__name__ == item]
            models = chosen or models
            continue
        path.append(str(item))
        beside = fields
        values = inside(values, item)
        models = models_in(fields[item].annotation) if item in fields else models
    return _Found(tuple(path), union or (), branch, beside, error)


def _of_one_branch(items: Sequence[_Found]) -> Iterable[tuple[_Found, ...]]:
    """Choose what to say about a value that fits none of the types that it may have.

    If it fits one in outline and is wrong further inside, that is what is said, else all that it
    may be is said at once.
    """
    branches: dict[str | None, list[_Found]] = {}
    for item in items:
        branches.setdefault(item.branch, []).append(item)
    deep = [b for b in branches.values() if any(len(i.path) > len(i.union) for i in b)]
    if deep:
        return [(item,) for item in min(deep, key=len)]
    # A value of the right type that is out of bounds is not told what else it might have been.
    fitting = tuple(item for item in items if not item.error["type"].endswith(_OTHER_TYPE))
    bounded = any(item.error["type"] not in _OTHER_WORD for item in fitting)
    return [fitting if bounded else tuple(items)]


def _problem(group: Sequence[_Found], model: type[BaseModel], prefix: str) -> Problem:
    first = group[0]
    error, value = first.error, first.error["input"]
    path = prefix
    for key in first.path:
        path = below(path, key)
    if error["type"] == "missing":
        return Problem(path, "is missing", _meaning(first))
    if error["type"] == "extra_forbidden":
        key = first.path[-1]
        return Problem(path, f"`{key}` is no known key", _other_key(first, model, prefix))
    if error["type"] in ("value_error", "assertion_error"):
        return Problem(path, str(error.get("ctx", {}).get("error") or error["msg"]))
    phrases = list(dict.fromkeys(words for item in group for words in expected(item.error)))
    if not phrases:
        message = str(error["msg"])
        return Problem(path, f"{message[:1].lower()}{message[1:]}, not {shown(value)}")
    names = [name for item in group for name in choices(item.error)]
    near = nearest(value, names) if isinstance(value, str) and names else None
    return Problem(
        path,
        f"must be {either(phrases)}, not {shown(value)}",
        f"did you mean `{near}`?" if near else None,
    )


def _meaning(found: _Found) -> str | None:
    """Return a hint on a field that must be there: what it says."""
    name = found.path[-1]
    field = found.fields.get(name)
    if field is None:
        return None
    inner = models_in(field.annotation)
    text = field.description or (inner[0].__doc__ or "" if inner else "")
    meaning = text.strip().partition("\n")[0].rstrip(".")
    return f"`{name}` says: {meaning[:1].lower()}{meaning[1:]}" if meaning else None


def _other_key(found: _Found, model: type[BaseModel], prefix: str) -> str | None:
    """Return a hint on an unknown key: where a key of that name belongs, or the nearest here."""
    key = found.path[-1]
    homes = [path for name, path in paths_of(model) if name == key]
    if len(homes) == 1:
        home = below(prefix, homes[0])
        return f"did you mean `{home}`?" if "." in home else f"`{home}` stands outside of this"
    if not found.fields:
        return "it takes no options"
    return did_you_mean(key, found.fields)
