"""Finding one's way in pydantic models: which fields there are below a path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tlf.spec.json_values import below
from tlf.spec.model import RunSpec


def models_in(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - a type of any form
    """Return the models that an annotation names, however it wraps them.

    Args:
        annotation: A field's type: `Model`, `Model | None`, `list[Model]`.
    """
    # Only a class without arguments can be a model; `list[int]` passes for a class in some Pythons.
    if not get_args(annotation):
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        return [annotation] if is_model else []
    return [model for part in get_args(annotation) for model in models_in(part)]


def fields_of(models: Sequence[type[BaseModel]]) -> dict[str, FieldInfo]:
    """Return the fields of models by the name that a user writes.

    Args:
        models: The models; the first that has a name goes first.
    """
    fields: dict[str, FieldInfo] = {}
    for model in models:
        for name, field in model.model_fields.items():
            fields.setdefault(field.alias or name, field)
    return fields


def field_at(parts: Sequence[str]) -> FieldInfo | None:
    """Return the field of a run spec that a path leads to, or None if it leads to none.

    Args:
        parts: Keys on the way to it.
    """
    models: list[type[BaseModel]] = [RunSpec]
    field = None
    for part in parts:
        field = fields_of(models).get(part)
        if field is None:
            return None
        models = models_in(field.annotation)
    return field


def paths_of(
    model: type[BaseModel], path: str = "", around: tuple[type[BaseModel], ...] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the name and the path of each field of a model and of the models in it.

    Args:
        model: The model.
        path: Where it stands.
        around: The models that it stands in.
    """
    for name, field in fields_of([model]).items():
        here = below(path, name)
        yield name, here
        for inner in models_in(field.annotation):
            # A model can hold itself; once is enough to find a name.
            if inner not in (*around, model):
                yield from paths_of(inner, here, (*around, model))
