"""Finding the installed plugins, none of which can harm the others.

Plugins are entry points of the group `tlf.v1`. Each is loaded, its hooks are checked and called, and
what it declares is checked, all in one go: whatever goes wrong, the plugin contributes nothing, and is
kept on record with the reason. Entry points of another version's group are not even imported, nor are
those that the environment variable `TLF_PLUGINS` leaves out.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

import pluggy

from tlf.errors import did_you_mean, nearest
from tlf.plugin import hooks
from tlf.plugin.declarations import KINDS, Declaration
from tlf.plugin.hooks import ENTRY_POINT_GROUP, PROJECT
from tlf.plugin.rules import (
    OWN_DISTRIBUTION,
    RuleError,
    check_declarations,
    check_name,
    check_plugin_name,
)

#: The environment variable that names the plugins to use, separated by commas; tlf's own always are.
CHOSEN_PLUGINS = "TLF_PLUGINS"

State = Literal["ok", "broken", "incompatible", "disabled"]

_GROUP = re.compile(r"tlf\.v(\d+)")
#: What takes seconds to import, and no command that lists plugins needs.
_SLOW = ("torch", "tensorflow", "jax")


@dataclass(frozen=True)
class PluginRecord:
    """What is known of one plugin.

    Attributes:
        name: Name of its entry point.
        distribution: The distribution that it is of; empty if it is not installed.
        version: That distribution's version.
        value: Where its module is, as the entry point says it: `tlf_acme`, `tlf_acme:plugin`.
        state: `ok`; `broken` if it cannot be used; `incompatible` if it is for another version of
            the plugin API; `disabled` if `TLF_PLUGINS` leaves it out.
        reason: Why it is not `ok`, or None.
        note: What should be known of it though it is `ok`, or None: that it slows down every command.
        declarations: What it provides, by kind. Empty if it is not `ok`.
    """

    name: str
    distribution: str
    version: str
    value: str
    state: State
    reason: str | None = None
    note: str | None = None
    declarations: Mapping[str, tuple[Declaration, ...]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}" if self.distribution else "not installed"

    @property
    def fails(self) -> bool:
        """Whether somebody has to mend something: it is neither in use nor left out on purpose."""
        return self.state in ("broken", "incompatible")

    @property
    def file(self) -> Path | None:
        """The file of its module, found without importing it; None if no folder of the path has it."""
        name = self.value.partition(":")[0]
        known = getattr(sys.modules.get(name), "__file__", None)
        return Path(known) if known else _file_of(name)


@dataclass(frozen=True)
class _Found:
    """An entry point, and the distribution that it is of."""

    entry_point: metadata.EntryPoint
    distribution: str
    version: str

    @property
    def api_version(self) -> int:
        return int(self.entry_point.group.rpartition("v")[2])

    @property
    def is_current(self) -> bool:
        return self.entry_point.group == ENTRY_POINT_GROUP

    def is_in(self, chosen: set[str] | None) -> bool:
        """Say whether it is to be used: one of tlf's own always is.

        Args:
            chosen: Names of the plugins to use besides; None for all.
        """
        own = self.distribution == OWN_DISTRIBUTION
        return chosen is None or own or self.entry_point.name in chosen

    def record(self, state: State, reason: str | None = None) -> PluginRecord:
        point = self.entry_point
        return PluginRecord(point.name, self.distribution, self.version, point.value, state, reason)


def discover(distributions: Iterable[metadata.Distribution] | None = None) -> list[PluginRecord]:
    """Return a record of every installed plugin: tlf's own first, then the others, by name.

    Args:
        distributions: Where to look; all that are installed by default.
    """
    found = sorted(
        _entry_points(metadata.distributions() if distributions is None else distributions),
        key=lambda item: (
            item.distribution != OWN_DISTRIBUTION,
            item.entry_point.name,
            item.distribution,
        ),
    )
    chosen = _chosen()
    owners: dict[str, list[_Found]] = {}
    for item in found:
        if item.is_current:
            owners.setdefault(item.entry_point.name, []).append(item)
    current = {(item.distribution, item.entry_point.name) for item in found if item.is_current}
    records = [
        _record(item, owners, chosen)
        for item in found
        if item.is_current or (item.distribution, item.entry_point.name) not in current
    ]
    names = {item.entry_point.name for item in found}
    absent = [_absent(name, names) for name in sorted((chosen or set()) - names)]
    return [*_without_clashes(records), *absent]


def _chosen() -> set[str] | None:
    """Return the names in `TLF_PLUGINS`, or None if it is not set: then all are used."""
    value = os.environ.get(CHOSEN_PLUGINS)
    if value is None:
        return None
    return {name.strip() for name in value.split(",") if name.strip()}


def _absent(name: str, names: Iterable[str]) -> PluginRecord:
    """Return the record of a plugin that `TLF_PLUGINS` names and that is not installed."""
    near = nearest(name, names)
    meant = f"; did you mean `{near}`?" if near else ""
    reason = f"`{CHOSEN_PLUGINS}` names it, and it is not installed{meant}"
    return PluginRecord(name, "", "", "", "broken", reason)


def _entry_points(distributions: Iterable[metadata.Distribution]) -> Iterator[_Found]:
    seen = set()
    for distribution in distributions:
        try:
            key = _key_of(distribution)
            points = [p for p in distribution.entry_points if _GROUP.fullmatch(p.group)]
            # Most distributions have none, and reading the metadata of all takes a while.
            name = distribution.metadata["Name"] if points else ""
            version = distribution.version if points else ""
        except Exception:  # noqa: BLE001 - another's damaged metadata is no plugin of ours
            continue
        # As for imports, the first of a name on the path hides the others.
        if key not in seen:
            seen.add(key)
            yield from (_Found(point, str(name), str(version)) for point in points)


def _key_of(distribution: metadata.Distribution) -> str:
    """Return the name of a distribution, normalised."""
    # What importlib itself uses to tell distributions apart: it follows from the folder's name.
    known = getattr(distribution, "_normalized_name", None)
    name = known if isinstance(known, str) else str(distribution.metadata["Name"])
    return re.sub(r"[-_.]+", "-", name).lower()


def _record(
    item: _Found, owners: Mapping[str, list[_Found]], chosen: set[str] | None
) -> PluginRecord:
    if not item.is_in(chosen):
        return item.record("disabled", f"`{CHOSEN_PLUGINS}` does not name it")
    if not item.is_current:
        ours = ENTRY_POINT_GROUP.rpartition("v")[2]
        return item.record(
            "incompatible",
            f"it is made for version {item.api_version} of the plugin API, and this tlf has "
            f"version {ours}",
        )
    same = owners[item.entry_point.name]
    if len(same) > 1:
        names = " and ".join(f"`{other.distribution}`" for other in same)
        reason = f"{names} both have a plugin called `{item.entry_point.name}`; uninstall one"
        return item.record("broken", reason)
    absent = [name for name in _SLOW if name not in sys.modules]
    try:
        # What a plugin prints would end up in the middle of a command's results.
        with contextlib.redirect_stdout(sys.stderr):
            declarations = _collect(item)
    except RuleError as error:
        return item.record("broken", str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises
        return item.record("broken", describe(error))
    note = None
    if imported := [name for name in absent if name in sys.modules]:
        names = " and ".join(imported)
        note = f"slow: importing it imports {names}, so that every command waits for that"
    return replace(item.record("ok"), declarations=declarations, note=note)


def describe(error: BaseException) -> str:
    """Return on one line what a plugin raised.

    Args:
        error: What it raised.
    """
    if isinstance(error, SystemExit):
        return f"it calls `sys.exit({error.code!r})`"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _collect(item: _Found) -> dict[str, tuple[Declaration, ...]]:
    """Load a plugin and return what it declares. Raises whatever goes wrong."""
    name = item.entry_point.name
    check_plugin_name(name)
    plugin = _load(item.entry_point)
    # A manager of its own for each plugin: pluggy keeps half of a registration that fails.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    _check_hooks(manager, plugin)
    manager.register(plugin, name)
    declarations = {}
    for kind, hook in KINDS.items():
        declared = tuple(_call(manager, kind, hook))
        for declaration in declared:
            check_name(kind, declaration.name, name, item.distribution)
        _check_doubles(kind, declared)
        if declared:
            declarations[kind] = declared
    return declarations


def _load(point: metadata.EntryPoint) -> object:
    if point.pattern.match(point.value) is None:
        raise RuleError(f"the entry point `{point.value}` is no `module` or `module:attribute`")
    return point.load()


def _file_of(name: str) -> Path | None:
    """Return the file of a module, and import nothing for it."""
    path: Sequence[str] | None = None
    whole = ""
    found = None
    for part in name.split("."):
        whole = f"{whole}.{part}" if whole else part
        found = PathFinder.find_spec(whole, path)
        if found is None:
            return None
        path = found.submodule_search_locations
    origin = None if found is None else found.origin
    return Path(origin) if origin else None


def _check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    if plugin is None:
        raise RuleError("the entry point leads to `None`")
    known = list(KINDS.values())
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            if name in known and inspect.isroutine(getattr(plugin, name, None)):
                raise RuleError(f"`{name}` is not marked with `tlf.plugin.hookimpl`")
            continue
        hook = options.get("specname") or name
        if hook in known:
            _check_arguments(hook, getattr(plugin, name))
        elif not options.get("optionalhook"):
            raise RuleError(f"there is no hook `{hook}`; {did_you_mean(hook, known)}")


def _check_arguments(hook: str, function: object) -> None:
    if not callable(function):
        raise RuleError(f"the hook `{hook}` is no function")
    known = inspect.signature(getattr(hooks, hook)).parameters
    for name, parameter in inspect.signature(function).parameters.items():
        needed = parameter.default is inspect.Parameter.empty
        if needed and name not in known and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            raise RuleError(f"the hook `{hook}` has no argument `{name}`")


def _call(manager: pluggy.PluginManager, kind: str, hook: str) -> Iterator[Declaration]:
    # Not through the hook itself, which drops a `None`: a `return` that was forgotten.
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        try:
            returned = implementation.function()
        except (Exception, SystemExit) as error:
            raise RuleError(f"the hook `{hook}` fails: {describe(error)}") from error
        yield from check_declarations(kind, hook, returned)


def _check_doubles(kind: str, declared: Iterable[Declaration]) -> None:
    seen = set()
    for declaration in declared:
        if declaration.name in seen:
            raise RuleError(f"it declares the {kind} `{declaration.name}` twice")
        seen.add(declaration.name)


def _without_clashes(records: list[PluginRecord]) -> list[PluginRecord]:
    """Take out the plugins that claim what another one claims too.

    Of two that are not tlf's own, both go: whichever stayed, some spec would mean something else than
    it did before the other was installed.
    """
    owners: dict[tuple[str, str], list[PluginRecord]] = {}
    for record in records:
        for kind, declared in record.declarations.items():
            for declaration in declared:
                owners.setdefault((kind, declaration.name), []).append(record)
    reasons: dict[int, str] = {}
    for (kind, name), claiming in owners.items():
        own = [record for record in claiming if record.distribution == OWN_DISTRIBUTION]
        for record in claiming if len(claiming) > 1 else ():
            others = " and ".join(
                f"`{other.name}` of `{other.distribution}`"
                for other in claiming
                if other is not record
            )
            if own != [record]:
                reasons[id(record)] = (
                    f"its {kind} `{name}` is also declared by the plugin {others}, and `{record.name}` "
                    f"is of `{record.distribution}`; uninstall one"
                )
    return [
        replace(record, state="broken", reason=reasons[id(record)], declarations={})
        if id(record) in reasons
        else record
        for record in records
    ]
