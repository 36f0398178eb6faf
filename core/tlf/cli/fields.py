"""What a pydantic model takes, in words: for `tlf plugins show` and for the reference pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
}


@dataclass(frozen=True)
class FieldWords:
    """One field of a model, in words.

    Attributes:
        name: What a spec calls it.
        type: What it may be, with its range: `number > 0, ≤ 1`.
        default: As JSON, or None if the field is required or an object of fields of its own.
        required: Whether it must be given.
        meaning: Its description, on one line.
    """

    name: str
    type: str
    default: str | None
    required: bool
    meaning: str


def describe_fields(model: type[BaseModel]) -> list[FieldWords]:
    """Return the fields of a model, in its own order.

    Args:
        model: A model of options, or a part of the run spec.
    """
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    required = schema.get("required", ())
    return [
        FieldWords(
            name=name,
            type=" or ".join(_types(value, definitions)),
            default=None if name in required else _default(model, name),
            required=name in required,
            meaning=_meaning(value, definitions),
        )
        for name, value in schema.get("properties", {}).items()
    ]


def _default(model: type[BaseModel], name: str) -> str | None:
    from pydantic_core import to_jsonable_python

    default = to_jsonable_python(model.model_fields[name].get_default(call_default_factory=True))
    if isinstance(default, dict) and default:
        # A part without options is its name.
        default = default.get("name") if default.get("options") == {} else None
        return None if default is None else json.dumps(default)
    return json.dumps(default, ensure_ascii=False)


def _meaning(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    own = str(value.get("description", ""))
    if not own and "$ref" in value:
        described = str(_target(value, definitions).get("description", ""))
        own = described.partition("\n")[0]
    return " ".join(own.split())


def _target(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Mapping[str, Any] = definitions[str(value["$ref"]).rpartition("/")[2]]
    return target


def _types(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    if "anyOf" in value:
        for choice in value["anyOf"]:
            yield from _types(choice, definitions)
    elif "enum" in value or "const" in value:
        choices = value.get("enum", [value.get("const")])
        yield ", ".join(f"`{json.dumps(choice, ensure_ascii=False)}`" for choice in choices)
    elif "$ref" in value:
        yield from _types(_target(value, definitions), definitions)
    elif value.get("type") == "array":
        yield _array(value, definitions)
    else:
        bounds = [f"{sign} {value[key]:.12g}" for key, sign in _BOUNDS.items() if key in value]
        yield f"{value.get('type', 'any')} {', '.join(bounds)}".strip()


def _array(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    inner = value.get("items") or next(iter(value.get("prefixItems", ())), None)
    return f"list of {' or '.join(_types(inner, definitions))}" if inner else "list"
