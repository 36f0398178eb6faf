"""What is installed, and the spec checked against it. No torch, until a target is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlf.discovery import PluginRecord
from tlf.registry.calls import plugin_call
from tlf.registry.entries import Entry, load_target
from tlf.registry.installed import Registry, load_registry

if TYPE_CHECKING:
    from tlf.registry.checking import check
    from tlf.registry.schema import spec_schema

__all__ = [
    "Entry",
    "PluginRecord",
    "Registry",
    "check",
    "load_registry",
    "load_target",
    "plugin_call",
    "spec_schema",
]


def __getattr__(name: str) -> object:
    """Load what needs the models of the spec when it is first used: listing plugins does not."""
    if name == "check":
        from tlf.registry.checking import check

        return check
    if name == "spec_schema":
        from tlf.registry.schema import spec_schema

        return spec_schema
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
