"""`tlf plugins`: what is installed, where it comes from, and what its options are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlf.cli.arguments import Json

if TYPE_CHECKING:
    from tlf.registry import Entry, PluginRecord, Registry

plugins_app = typer.Typer(
    help="List, show or check plugins, or begin a new one.",
    rich_markup_mode=None,
)


@plugins_app.command("list")
def list_command(
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only this kind of thing: `strategy`, say.")
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say of each where its code is and what it needs."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List what every plugin provides.

    Where it comes from too, and whether it works, or else why not.
    """
    from tlf.cli.output import write_json
    from tlf.registry import load_registry

    if kind is not None:
        check_kind(kind)
    registry = load_registry()
    if as_json:
        write_json([_as_json(record, registry, kind) for record in _listed(registry, kind)])
    elif verbose:
        show_verbose(registry, kind)
    else:
        show_list(registry, kind)


@plugins_app.command("show")
def show_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A plugin, or a thing that one provides.")
    ],
    as_json: Json = False,
) -> None:
    """Show a plugin or a thing that it provides.

    Its options with types, defaults and ranges, examples, and where it comes from.
    """
    from tlf.cli.output import write_json
    from tlf.registry import load_registry

    registry = load_registry()
    entries = find_entries(registry, name)
    if as_json:
        write_json([_entry_as_json(entry) for entry in entries])
        return
    for entry in entries:
        show_entry(entry)


def check_kind(kind: str) -> None:
    """Make sure that there is a kind of plugin.

    Args:
        kind: What the user calls it.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    from tlf.errors import did_you_mean
    from tlf.plugin.declarations import KINDS

    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        raise typer.BadParameter(f"`{kind}` is no kind of plugin; {hint}", param_hint="--kind")


def show_list(registry: Registry, kind: str | None = None) -> None:
    """Print the installed plugins for people, those that do not work last, with the reason.

    Args:
        registry: The installed plugins.
        kind: The kind of thing to list, or None for all.
    """
    from tlf.cli.output import results
    from tlf.cli.tables import table

    rows = [
        [
            entry.kind,
            entry.declaration.name,
            entry.declaration.summary,
            entry.plugin.origin,
            _state(entry.plugin),
        ]
        for entry in registry.entries(kind)
    ]
    unused = [record for record in registry.plugins if record.state != "ok"]
    rows += [["–", record.name, "–", record.origin, record.state] for record in unused]
    results().print(table(["kind", "name", "summary", "from", "state"], rows))
    for record in _listed(registry, kind):
        for line in _remarks(record):
            results().print(f"\n{line}", soft_wrap=True)


def show_verbose(registry: Registry, kind: str | None) -> None:
    """Print all that is known of the installed plugins, one after the other.

    Args:
        registry: The installed plugins.
        kind: The kind of thing to list, or None for all.
    """
    from tlf.cli.output import results
    from tlf.cli.tables import table

    for record in _listed(registry, kind):
        facts: list[list[str | tuple[str, ...]]] = [
            ["from", record.origin],
            ["entry point", f"{record.name} = {record.value}"],
            ["file", str(record.file or "not found")],
        ]
        for entry in _provided(record, registry, kind):
            declaration = entry.declaration
            requires = ", ".join(map(_requirement, declaration.requires))
            needs = (f"requires {requires}",) if requires else ()
            facts.append(
                [
                    (entry.kind, declaration.name),
                    (declaration.summary, declaration.target, *needs),
                ]
            )
        results().print(table([record.name, _state(record)], facts))
        for line in _remarks(record):
            results().print(line, soft_wrap=True)
        results().print()


def _state(record: PluginRecord) -> str:
    return f"{record.state}, slow" if record.note else record.state


def _remarks(record: PluginRecord) -> list[str]:
    """Return what should be known of a plugin that does not work, or not as it should."""
    if record.state != "ok":
        return [f"{record.name} is {record.state}: {record.reason}"]
    return [f"{record.name} is {record.note}"] if record.note else []


def show_entry(entry: Entry) -> None:
    """Print what is known of one thing that a plugin provides.

    Args:
        entry: The thing.
    """
    from tlf.cli.fields import describe_fields
    from tlf.cli.output import results
    from tlf.cli.tables import table

    declaration, plugin = entry.declaration, entry.plugin
    facts = [
        ["", declaration.summary],
        ["plugin", f"{plugin.name}, from {plugin.origin}, module {plugin.value}"],
        ["file", str(plugin.file or "not found")],
        ["code", declaration.target],
        ["requires", ", ".join(map(_requirement, declaration.requires)) or "nothing more"],
    ]
    results().print(table([entry.kind, declaration.name], facts))
    fields = describe_fields(entry.options_model())
    if fields:
        rows = [
            [
                field.name,
                field.type,
                "required" if field.required else field.default or "–",
                field.meaning,
            ]
            for field in fields
        ]
        results().print()
        results().print(table(["option", "type", "default", "meaning"], rows))
    else:
        results().print("\nIt takes no options.")
    results().print("\nexamples of options")
    for example in declaration.examples:
        results().print(f"  {json.dumps(dict(example), ensure_ascii=False)}", soft_wrap=True)
    results().print()


def find_entries(registry: Registry, name: str) -> Sequence[Entry]:
    """Return what goes by a name, as a plugin or as a thing that one provides.

    Args:
        registry: The installed plugins.
        name: The name.

    Raises:
        PluginError: Nothing does, or the plugin does not work.
    """
    from tlf.errors import PluginError, did_you_mean
    from tlf.registry.entries import way_out

    entries = [
        entry for entry in registry.entries() if name in (entry.plugin.name, entry.declaration.name)
    ]
    for record in registry.plugins:
        if record.state != "ok" and record.name == name.partition("/")[0] and not entries:
            raise PluginError(
                f"the plugin `{record.name}`, from {record.origin}, is {record.state}: "
                f"{record.reason}",
                hint=way_out(record),
            )
    if not entries:
        names = {record.name for record in registry.plugins}
        names |= {entry.declaration.name for entry in registry.entries()}
        raise PluginError(
            f"no installed plugin is called `{name}` or provides something of that name",
            hint=did_you_mean(name, names),
        )
    return entries


def _listed(registry: Registry, kind: str | None) -> list[PluginRecord]:
    providing = {entry.plugin.name for entry in registry.entries(kind)}
    return [
        record
        for record in registry.plugins
        if kind is None or record.state != "ok" or record.name in providing
    ]


def _provided(record: PluginRecord, registry: Registry, kind: str | None) -> list[Entry]:
    return [entry for entry in registry.entries(kind) if entry.plugin is record]


def _as_json(record: PluginRecord, registry: Registry, kind: str | None) -> dict[str, Any]:
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "module": record.value,
        "file": None if record.file is None else str(record.file),
        "state": record.state,
        "reason": record.reason,
        "note": record.note,
        "provides": [
            {
                "kind": entry.kind,
                "name": entry.declaration.name,
                "summary": entry.declaration.summary,
            }
            for entry in _provided(record, registry, kind)
        ],
    }


def _entry_as_json(entry: Entry) -> dict[str, Any]:
    declaration, plugin = entry.declaration, entry.plugin
    return {
        "kind": entry.kind,
        "name": declaration.name,
        "summary": declaration.summary,
        "plugin": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.value,
        "file": None if plugin.file is None else str(plugin.file),
        "target": declaration.target,
        "requires": list(declaration.requires),
        "examples": [dict(example) for example in declaration.examples],
        "options_schema": entry.options_model().model_json_schema(),
    }


def _requirement(distribution: str) -> str:
    from importlib import metadata

    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return f"{distribution} (not installed)"
