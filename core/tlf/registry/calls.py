"""Calling a plugin's code so that whatever it does wrong is said to be the plugin's fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tlf.discovery import describe
from tlf.errors import TlfError
from tlf.registry.entries import Entry


@contextmanager
def plugin_call(entry: Entry, what: str) -> Iterator[None]:
    """Make a `PluginError` of whatever is raised inside, unless it is an error of tlf's already.

    Args:
        entry: Whose code is called inside.
        what: What is called, in words: the first ones of what the message says of the plugin.

    Raises:
        PluginError: Names the entry, its plugin, its distribution, and what was raised, on one line.
    """
    try:
        yield
    except TlfError:
        raise
    except (Exception, SystemExit) as error:
        raise entry.broken(f"{what} fails with {describe(error)}") from error
