"""One thing that a plugin provides: its options, and its code once it is needed."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from pydantic import BaseModel

from tlf.discovery import CHOSEN_PLUGINS, PluginRecord, describe
from tlf.errors import PluginError, SpecError, TlfError, did_you_mean
from tlf.plugin import Declaration, Options
from tlf.plugin.interfaces import INTERFACES

#: The section of a spec that each kind of thing is named in; a list of them for observers.
SECTIONS: Mapping[str, str] = {
    "backbone-family": "backbone",
    "data-source": "data",
    "device": "device",
    "observer": "observers",
    "strategy": "strategy",
    "transform": "transforms",
}


@dataclass(frozen=True)
class Entry:
    """One thing that a working plugin provides.

    Attributes:
        kind: `strategy`, say: one of `tlf.plugin.declarations.KINDS`.
        declaration: What the plugin says about it.
        plugin: The plugin.
    """

    kind: str
    declaration: Declaration
    plugin: PluginRecord

    def options_model(self) -> type[BaseModel]:
        """Return the model of its options.

        Raises:
            PluginError: It cannot be imported, or is no model.
        """
        if self.declaration.options is None:
            return Options
        model = load_target(self.declaration.options, self.plugin)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise self.broken(f"`{self.declaration.options}` is no pydantic model")
        return model

    def options(self, values: Mapping[str, Any], *, path: str | None = None) -> BaseModel:
        """Return options, checked.

        Args:
            values: What the spec says.
            path: Where it says so; by default the `options` of the section for this kind.

        Raises:
            SpecError: The options are wrong; all problems are in it.
            PluginError: The model of the options is broken.
        """
        from tlf.spec import validate_values

        model = self.options_model()
        path = f"{SECTIONS[self.kind]}.options" if path is None else path
        try:
            options, problems = validate_values(model, values, path)
        except TlfError:
            raise
        except Exception as error:
            raise self.broken(f"checking its options fails with {describe(error)}") from error
        if options is None:
            raise SpecError(problems)
        return options

    def missing_requirements(self) -> tuple[str, ...]:
        """Return the distributions that it requires and that are not installed."""
        return tuple(name for name in self.declaration.requires if not _is_installed(name))

    def target(self) -> Any:  # noqa: ANN401 - whatever the plugin provides
        """Import its code.

        Raises:
            PluginError: Something that it requires is not installed, or the import fails.
        """
        missing = self.missing_requirements()
        if missing:
            raise self.requirement_error(missing)
        return load_target(self.declaration.target, self.plugin)

    def create(self, options: BaseModel, *more: object) -> Any:  # noqa: ANN401
        """Return a new object of its class.

        Args:
            options: Its options, checked.
            more: What else the class takes.

        Raises:
            PluginError: The code cannot be imported, is no class of the kind, or fails.
        """
        target = self.target()
        wanted = INTERFACES[self.kind]
        if not (isinstance(target, type) and issubclass(target, wanted)):
            raise self.broken(
                f"`{self.declaration.target}` is no subclass of `tlf.plugin.{wanted.__name__}`"
            )
        create: Callable[..., Any] = target
        try:
            return create(options, *more)
        except TlfError:
            raise
        except (Exception, SystemExit) as error:
            raise self.broken(f"creating it fails with {describe(error)}") from error

    def requirement_error(self, missing: tuple[str, ...]) -> PluginError:
        """Return the error for distributions that it requires and that are not installed.

        Args:
            missing: Their names.
        """
        names = ", ".join(f"`{name}`" for name in missing)
        return PluginError(
            f"the {self.kind} `{self.declaration.name}` needs {names}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed",
            hint=f"pip install {_what_to_install(self.plugin.distribution, missing)}",
        )

    def broken(self, what: str) -> PluginError:
        """Return the error for something that it does wrong: names it, its plugin and distribution.

        Args:
            what: What it does wrong, in words.
        """
        return PluginError(
            f"the {self.kind} `{self.declaration.name}` of the plugin `{self.plugin.name}` "
            f"({self.plugin.origin}) is broken: {what}",
            hint=way_out(self.plugin),
        )


def load_target(target: str, record: PluginRecord) -> Any:  # noqa: ANN401 - whatever is there
    """Import what a declaration names.

    Args:
        target: `module:attribute`.
        record: The plugin that declares it.

    Raises:
        PluginError: The import fails, for whatever reason.
    """
    module_name, _, attribute = target.partition(":")
    what = f"the plugin `{record.name}` ({record.origin}) is broken: `{target}` "
    try:
        # What a plugin prints would end up in the middle of a command's results.
        with contextlib.redirect_stdout(sys.stderr):
            found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        message = f"{what}cannot be imported: {describe(error)}"
        raise PluginError(message, hint=way_out(record)) from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            public = [known for known in dir(found) if not known.startswith("_")]
            near = did_you_mean(name, public) if public else None
            raise PluginError(f"{what}is not there", hint=near or way_out(record))
        found = getattr(found, name)
    return found


def way_out(record: PluginRecord) -> str:
    """Return what a user can do about a plugin that does not work.

    Args:
        record: The plugin.
    """
    if record.state == "disabled":
        return f"add `{record.name}` to `{CHOSEN_PLUGINS}`, or choose something else in its place"
    if not record.distribution:
        return f"install it, or take it out of `{CHOSEN_PLUGINS}`"
    name = record.distribution
    return f"update `{name}`, or choose something else in its place; `tlf plugins list` shows all"


def _what_to_install(distribution: str, missing: Sequence[str]) -> str:
    """Return what pip is told: extras of the plugin's own distribution, which know the versions too."""
    extras = _extras(distribution)
    names = [re.sub(r"[-_.]+", "-", name).lower() for name in missing]
    if not all(name in extras for name in names):
        return " ".join(missing)
    return f"'{distribution}[{','.join(dict.fromkeys(extras[name] for name in names))}]'"


def _extras(distribution: str) -> dict[str, str]:
    """Return which extra of a distribution brings each other one along, by normalised name."""
    try:
        lines = metadata.requires(distribution) or []
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    found: dict[str, str] = {}
    for line in lines:
        match = re.fullmatch(r"([\w.-]+)[^;]*;.*\bextra == ['\"]([\w.-]+)['\"].*", line)
        if match:
            found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2])
    return found


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True
