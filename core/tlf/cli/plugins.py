"""`tlf plugins`: what is installed, where it comes from, and what its options are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlf.cli.arguments import Json

if TYPE_CHECKING:
    from tlf.registry import Entry, PluginRecord, Registry

plugins_app = typer.Typer(help="List the installed plugins, or show one.", rich_markup_mode=None)


@plugins_app.command("list")
def list_command(
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only this kind of thing: `strategy`, say.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what every plugin provides.

    Where it comes from too, and whether it works, or else why not.
    """
    from tlf.cli.output import write_json
    from tlf.errors import did_you_mean
    from tlf.plugin.declarations import KINDS
    from tlf.registry import load_registry

    if kind is not None and kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        raise typer.BadParameter(f"`{kind}` is no kind of plugin; {hint}", param_hint="--kind")
    registry = load_registry()
    if as_json:
        write_json([_as_json(record, registry, kind) for record in _listed(registry, kind)])
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
    entries = _find(registry, name)
    if as_json:
        write_json([_entry_as_json(entry) for entry in entries])
        return
    for entry in entries:
        show_entry(entry)


def show_list(registry: Registry, kind: str | None = None) -> None:
    """Print the installed plugins for people, those that do not work last, with the reason.

    Args:
        registry: The installed plugins.
        kind: The kind of thing to list, or None for all.
    """
    from tlf.cli.output import results
    from tlf.cli.tables import table

    rows = [
        [entry.kind, entry.declaration.name, entry.declaration.summary, entry.plugin.origin, "ok"]
        for entry in registry.entries(kind)
    ]
    failed = [record for record in registry.plugins if record.state != "ok"]
    rows += [["–", record.name, "–", record.origin, record.state] for record in failed]
    results().print(table(["kind", "name", "summary", "from", "state"], rows))
    for record in failed:
        results().print(f"\n{record.name} is {record.state}: {record.reason}", soft_wrap=True)


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


def _find(registry: Registry, name: str) -> Sequence[Entry]:
    """Return what goes by a name, as a plugin or as a thing that one provides."""
    from tlf.errors import PluginError, did_you_mean

    entries = [
        entry for entry in registry.entries() if name in (entry.plugin.name, entry.declaration.name)
    ]
    for record in registry.plugins:
        if record.state != "ok" and record.name == name.partition("/")[0] and not entries:
            raise PluginError(
                f"the plugin `{record.name}`, from {record.origin}, is {record.state}: "
                f"{record.reason}",
                hint=f"it contributes nothing until that is mended; its module is `{record.value}`",
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


def _as_json(record: PluginRecord, registry: Registry, kind: str | None) -> dict[str, Any]:
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "module": record.value,
        "state": record.state,
        "reason": record.reason,
        "provides": [
            {
                "kind": entry.kind,
                "name": entry.declaration.name,
                "summary": entry.declaration.summary,
            }
            for entry in registry.entries(kind)
            if entry.plugin is record
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
