"""A JSON Schema of the run spec that knows the options of every installed plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.errors import PydanticInvalidForJsonSchema

from tlf.errors import PluginError
from tlf.registry.entries import SECTIONS, Entry
from tlf.registry.installed import Registry
from tlf.spec import RunSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BACKBONE = "backbone-family"


def spec_schema(registry: Registry) -> dict[str, Any]:
    """Return a JSON Schema (2020-12) that takes every valid spec.

    It may take a spec that is not valid: what no schema can say, such as two options that do not go
    together, only checking the spec finds.

    Args:
        registry: The installed plugins.
    """
    schema = RunSpec.model_json_schema()
    definitions = schema["$defs"]
    for name, definition in definitions.items():
        if "name" in definition.get("properties", ()):
            definitions[name] = _with_bare_name(definition)
    for kind, section in SECTIONS.items():
        entries = registry.entries(kind)
        own = schema["properties"][section]
        place = own.get("items", own)
        if entries:
            part = definitions[place["$ref"].rpartition("/")[2]]["anyOf"][1]
            choices = {"anyOf": _choices(kind, entries, part, definitions)}
            kept = {key: own[key] for key in ("default", "description") if key in own}
            in_place = {"type": "array", "items": choices} if place is not own else choices
            schema["properties"][section] = {**kept, **in_place}
    return {"$schema": DIALECT, **schema}


def _with_bare_name(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a part that can be written as its name alone."""
    name = {**definition["properties"]["name"]}
    name.pop("default", None)
    return {"anyOf": [name, definition]}


def _choices(
    kind: str,
    entries: tuple[Entry, ...],
    part: Mapping[str, Any],
    definitions: dict[str, Any],
) -> list[dict[str, Any]]:
    """Return the schemas of what may stand for a part: a name alone, or an object for each entry."""
    objects, bare = [], []
    for entry in entries:
        name, key = entry.declaration.name, f"{kind}.{entry.declaration.name.replace('/', '.')}"
        definitions[key] = _options_schema(entry, key)
        options = {"$ref": f"#/$defs/{key}"}
        needed = bool(definitions[key].get("required"))
        objects.append(_object(part, _name_schema(kind, name), options, options_needed=needed))
        if not needed:
            bare.append(name)
    if not bare:
        return objects
    if kind == _BACKBONE:
        return [{"type": "string", "pattern": f"^({'|'.join(bare)})/."}, *objects]
    return [{"enum": bare}, *objects]


def _object(
    part: Mapping[str, Any],
    name: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    options_needed: bool,
) -> dict[str, Any]:
    properties = {**part["properties"], "name": {**part["properties"]["name"], **name}}
    properties["options"] = {**options, "description": "Options, as the plugin defines them."}
    return {
        "type": "object",
        "properties": properties,
        "required": ["name", "options"] if options_needed else ["name"],
        "additionalProperties": False,
    }


def _name_schema(kind: str, name: str) -> dict[str, Any]:
    return {"pattern": f"^({name})/."} if kind == _BACKBONE else {"const": name}


def _options_schema(entry: Entry, key: str) -> dict[str, Any]:
    """Return the schema of options, its own definitions inside it; of any object if it has none."""
    try:
        model = entry.options_model()
        return model.model_json_schema(ref_template=f"#/$defs/{key}/$defs/{{model}}")
    except (PluginError, PydanticInvalidForJsonSchema):
        return {"type": "object"}
