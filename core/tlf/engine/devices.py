"""Which devices can be used here."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass

from tlf.engine.parts import availability_of
from tlf.errors import SpecError, TlfError
from tlf.plugin import Availability
from tlf.registry import Entry, Registry
from tlf.spec.model import PartSpec


@dataclass(frozen=True)
class ListedDevice:
    """A device, with its options as they are by default.

    Attributes:
        name: As a spec writes it.
        available: Whether it can be used here.
        reason: Why, or why not; for a broken plugin, what is wrong with it.
        plugin: Which plugin declares it.
    """

    name: str
    available: bool
    reason: str
    plugin: str


def list_devices(registry: Registry) -> list[ListedDevice]:
    """Return every device that a plugin declares. A broken one is not available, and says why.

    Args:
        registry: The installed plugins.
    """
    listed = []
    for entry in registry.entries("device"):
        found = _ask(registry, entry)
        # One line, whatever a driver said.
        reason = " ".join(found.reason.split())
        name, plugin = entry.declaration.name, entry.plugin.name
        listed.append(ListedDevice(name, found.available, reason, plugin))
    return listed


def _ask(registry: Registry, entry: Entry) -> Availability:
    try:
        # What a plugin prints would end up in the middle of a command's results.
        with contextlib.redirect_stdout(sys.stderr):
            return availability_of(registry, PartSpec(name=entry.declaration.name))
    except SpecError as error:
        # An option that has no default, say.
        problems = (f"`{problem.path}`: {problem.message}" for problem in error.problems)
        return Availability(available=False, reason="; ".join(problems))
    except TlfError as error:
        return Availability(available=False, reason=error.message)
