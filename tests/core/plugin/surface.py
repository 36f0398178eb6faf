"""What plugins can see of tlf, as text: names, signatures, fields and their defaults.

    .venv/bin/python -m tests.core.plugin.surface

writes `surface.txt`, which a test compares with the code. From tlf 1.0 on a line may be added to it,
and none may change or go.
"""

import dataclasses
import inspect
from pathlib import Path

from pydantic import BaseModel

import tlf.plugin
from tlf.plugin import hooks
from tlf.plugin.declarations import KINDS

SNAPSHOT = Path(__file__).with_name("surface.txt")


def surface():
    """Return the lines of the snapshot."""
    lines = [f"entry point group {hooks.ENTRY_POINT_GROUP}"]
    for kind, hook in sorted(KINDS.items()):
        function = getattr(hooks, hook)
        lines.append(f"hook {hook}{inspect.signature(function)}  # {kind}")
    for name in sorted(tlf.plugin.__all__):
        lines += _described(name, getattr(tlf.plugin, name))
    return lines


def _described(name, value):
    if inspect.isclass(value):
        bases = [base.__name__ for base in value.__mro__[1:] if base.__module__.startswith("tlf.")]
        yield f"class {name}({', '.join(bases)})"
        yield from (f"  {name}{line}" for line in (*_fields(value), *_methods(value)))
    elif inspect.isfunction(value):
        yield f"function {name}{inspect.signature(value)}"
    else:
        # What has no text of its own is shown by its type: an address is another one each time.
        shown = repr(value)
        yield f"value {name}: {type(value).__name__ if ' at 0x' in shown else shown}"


def _fields(value):
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield f".{field.name}: {field.type}{_default(field)}"
        return
    for field, type_ in sorted(getattr(value, "__annotations__", {}).items()):
        if not field.startswith("_"):
            default = f" = {vars(value)[field]!r}" if field in vars(value) else ""
            yield f".{field}: {type_}{default}"
    if issubclass(value, BaseModel):
        yield f".model_config = {dict(sorted(value.model_config.items()))}"
    if "__init__" in vars(value):
        yield f"{inspect.signature(value.__init__)}"


def _methods(value):
    for member, method in sorted(vars(value).items()):
        if member.startswith("_"):
            continue
        if isinstance(method, property):
            yield f".{member}: property"
        elif isinstance(method, classmethod):
            yield f".{member}{inspect.signature(method.__func__)} classmethod"
        elif inspect.isfunction(method):
            abstract = " abstract" if getattr(method, "__isabstractmethod__", False) else ""
            yield f".{member}{inspect.signature(method)}{abstract}"


def _default(field):
    if field.default is not dataclasses.MISSING:
        return f" = {field.default!r}"
    if field.default_factory is not dataclasses.MISSING:
        return f" = {field.default_factory.__name__}()"
    return ""


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(surface()) + "\n", encoding="utf-8")
