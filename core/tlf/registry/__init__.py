"""What is installed, and the spec checked against it. No torch, until a target is imported."""

from tlf.discovery import PluginRecord
from tlf.registry.checking import check
from tlf.registry.entries import Entry, load_target
from tlf.registry.installed import Registry, load_registry
from tlf.registry.schema import spec_schema

__all__ = [
    "Entry",
    "PluginRecord",
    "Registry",
    "check",
    "load_registry",
    "load_target",
    "spec_schema",
]
