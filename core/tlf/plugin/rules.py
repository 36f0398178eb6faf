"""The rules that declarations keep: their form, and who may use which name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tlf.plugin.declarations import (
    BackboneFamilyDeclaration,
    DataSourceDeclaration,
    Declaration,
)

#: The distribution whose plugins have bare names.
OWN_DISTRIBUTION = "tlf"
#: What a hook must return, by kind; `Declaration` for all others.
DECLARATIONS: Mapping[str, type[Declaration]] = {
    "backbone-family": BackboneFamilyDeclaration,
    "data-source": DataSourceDeclaration,
}

_WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_WORD = re.compile(r"[a-z][a-z0-9]*")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class RuleError(Exception):
    """A declaration breaks a rule; the message says which."""


def check_plugin_name(name: str) -> None:
    """Check the name of an entry point.

    Args:
        name: The name.

    Raises:
        RuleError: It is not made of lower case words joined by `-`.
    """
    if not _WORDS.fullmatch(name):
        raise RuleError(f"the plugin's name `{name}` must be lower case words joined by `-`")


def check_name(kind: str, name: str, plugin: str, distribution: str) -> None:
    """Check what a plugin calls one of its things.

    Args:
        kind: The kind of thing.
        name: What the declaration calls it.
        plugin: Name of the entry point.
        distribution: The distribution that the plugin is of.

    Raises:
        RuleError: The plugin may not use that name.
    """
    what = f"the {kind} `{name}`"
    if kind == "backbone-family":
        if not _WORD.fullmatch(name):
            raise RuleError(f"{what} must be called by one lower case word, without a slash")
        return
    owner, slash, rest = name.partition("/")
    if not slash:
        owner, rest = plugin, name
        if distribution != OWN_DISTRIBUTION:
            raise RuleError(
                f"{what} must be called `{plugin}/{name}`: bare names belong to tlf itself"
            )
    elif distribution == OWN_DISTRIBUTION or owner != plugin:
        wanted = rest if distribution == OWN_DISTRIBUTION else f"{plugin}/{rest}"
        raise RuleError(f"{what} must be called `{wanted}`: the plugin is `{plugin}`")
    if not _WORDS.fullmatch(rest):
        raise RuleError(f"{what} must be called by lower case words joined by `-`")


def check_declarations(kind: str, hook: str, returned: object) -> tuple[Declaration, ...]:
    """Check what a hook returned.

    Args:
        kind: The kind of thing that the hook declares.
        hook: Name of the hook.
        returned: What it returned.

    Returns:
        The declarations.

    Raises:
        RuleError: It is no list of declarations of that kind, or one is malformed.
    """
    wanted = DECLARATIONS.get(kind, Declaration)
    if not isinstance(returned, Sequence) or isinstance(returned, str | bytes):
        raise RuleError(
            f"the hook `{hook}` must return a list of `{wanted.__name__}`, not {_typed(returned)}"
        )
    for item in returned:
        if not isinstance(item, wanted):
            raise RuleError(
                f"the hook `{hook}` must return a list of `{wanted.__name__}`, and "
                f"{_typed(item)} is in it"
            )
        _check_fields(kind, item)
    return tuple(returned)


def _check_fields(kind: str, item: Declaration) -> None:
    what = f"the {kind} `{item.name}`"
    for field in ("name", "summary"):
        value = getattr(item, field)
        if not isinstance(value, str):
            raise RuleError(f"`{field}` of {what} must be text, not {_typed(value)}")
    for field in ("target", "options", "example_files"):
        _check_target(field, getattr(item, field, None), what)
    for field in ("requires", "example_models"):
        value = getattr(item, field, ())
        if isinstance(value, str) or not _all(value, str):
            raise RuleError(f"`{field}` of {what} must be a tuple of texts, not {_typed(value)}")
    if not _all(item.examples, Mapping):
        shown = _typed(item.examples)
        raise RuleError(f"`examples` of {what} must be a tuple of mappings, not {shown}")


def _check_target(field: str, value: object, what: str) -> None:
    if value is None and field != "target":
        return
    if not isinstance(value, str) or not _TARGET.fullmatch(value):
        raise RuleError(f"`{field}` of {what} must be `module:attribute`, not {_typed(value)}")


def _all(values: object, wanted: type) -> bool:
    return isinstance(values, tuple | list) and all(isinstance(value, wanted) for value in values)


def _typed(value: object) -> str:
    """Return a value as a message shows it: short, and with its type where that says more."""
    if value is None or isinstance(value, str):
        return f"`{value}`"
    return f"a `{type(value).__name__}`"
