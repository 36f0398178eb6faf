"""The installed plugins and what they provide, by kind and name."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from tlf.discovery import CHOSEN_PLUGINS, PluginRecord, discover
from tlf.errors import PluginError, Problem, SpecError
from tlf.plugin.declarations import KINDS
from tlf.registry.entries import SECTIONS, Entry
from tlf.registry.missing import Missing, explain_missing


class Registry:
    """What is installed.

    Args:
        plugins: A record of each plugin, as `tlf.discovery.discover` returns them.
    """

    def __init__(self, plugins: Iterable[PluginRecord]) -> None:
        self._plugins = tuple(plugins)
        self._entries = {
            (kind, declaration.name): Entry(kind, declaration, record)
            for kind in KINDS
            for record in self._plugins
            for declaration in record.declarations.get(kind, ())
        }

    @property
    def plugins(self) -> tuple[PluginRecord, ...]:
        """Every plugin, also those that do not work: tlf's own first."""
        return self._plugins

    def entries(self, kind: str | None = None) -> tuple[Entry, ...]:
        """Return what the plugins that work provide.

        Args:
            kind: Only this kind of thing; all kinds by default.
        """
        return tuple(entry for entry in self._entries.values() if kind in (None, entry.kind))

    def find(self, kind: str, name: str) -> Entry | None:
        """Return what a plugin provides under a name, or None.

        Args:
            kind: The kind of thing.
            name: What the plugin calls it; for a backbone, its family.
        """
        return self._entries.get((kind, name))

    def get(self, kind: str, name: str) -> Entry:
        """Return what a plugin provides under a name.

        Args:
            kind: The kind of thing.
            name: What the plugin calls it; for a backbone, its family.

        Raises:
            SpecError: The name is a slip of the pen.
            PluginError: The plugin that would provide it is missing, broken or incompatible.
        """
        entry = self.find(kind, name)
        if entry is not None:
            return entry
        missing = self.missing(kind, name)
        if missing.is_plugin_problem:
            raise PluginError(missing.message, hint=missing.hint)
        raise SpecError([Problem(f"{SECTIONS[kind]}.name", missing.message, missing.hint)])

    def missing(self, kind: str, name: str) -> Missing:
        """Say why nothing is found under a name.

        Args:
            kind: The kind of thing.
            name: What was looked for; for a backbone, its family.
        """
        names = [entry.declaration.name for entry in self.entries(kind)]
        return explain_missing(kind, name, names, self._plugins)

    def require_all(self) -> None:
        """Make sure that every plugin works, except those that were left out on purpose.

        Raises:
            PluginError: Some do not; all of them are named, each with its reason.
        """
        failing = [record for record in self._plugins if record.fails]
        if not failing:
            return
        lines = [f"  {one.name} ({one.origin}) is {one.state}: {one.reason}" for one in failing]
        count = f"{len(lines)} plugins do" if len(lines) > 1 else "1 plugin does"
        raise PluginError(
            "\n".join([f"{count} not work", *lines]),
            hint=f"update or uninstall, or name in `{CHOSEN_PLUGINS}` the plugins to use",
        )


@functools.cache
def load_registry() -> Registry:
    """Return the registry of what is installed. Looked up once: it stays as it is in a process."""
    return Registry(discover())
