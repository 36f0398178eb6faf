"""What it takes to do a run again."""

from __future__ import annotations

from typing import Any

from tlf.report.blocks import Block, Cell, Code, Column, Details, Section, Table, Text, facts
from tlf.report.reading import RunFiles
from tlf.report.words import NOTHING, count


def again_section(files: RunFiles) -> Section:
    """Return command, spec, versions and digests.

    Args:
        files: The files of the run directory.
    """
    environment = files.environment
    blocks: list[Block] = []
    if files.spec:
        folder = environment.get("folder") if environment else None
        where = f"in `{folder}`" if folder else "where it was"
        blocks.append(Text(f"Save the spec {where}, for paths in it lead from there, and type:"))
        blocks.append(Code("tlf run spec.json", "Command"))
        blocks.append(Details("Spec", [Code(files.spec.strip(), "spec.json")]))
    if environment:
        blocks.append(Details("Versions and machine", [_machine(environment)]))
        plugins = environment.get("plugins") or []
        if plugins:
            blocks.append(Details("Plugins, with digests of their code", [_plugins(plugins)]))
        digests = _digests(environment)
        if digests.rows:
            blocks.append(Details("Digests of data and weights", [digests]))
    return Section("again", "Do it again", blocks)


def _machine(environment: dict[str, Any]) -> Table:
    """Return versions of the libraries, and the machine."""
    libraries = environment.get("libraries") or {}
    return facts(
        "Versions and machine",
        [
            *((str(name), str(version)) for name, version in libraries.items()),
            ("Python", str(environment.get("python") or "")),
            ("Platform", str(environment.get("platform") or "")),
            ("Processor", str(environment.get("processor") or "")),
            ("Started", str(environment.get("started") or "")),
        ],
    )


def _plugins(plugins: list[dict[str, Any]]) -> Table:
    """Return who provided the parts of the run."""
    rows = [
        [
            Cell(f"{one.get('kind', '')} {one.get('name', '')}"),
            Cell(str(one.get("plugin") or NOTHING)),
            Cell(f"{one.get('distribution', '')} {one.get('version', '')}".strip() or NOTHING),
            Cell(str(one.get("code_digest") or NOTHING), mark="digest"),
        ]
        for one in plugins
    ]
    columns = [Column("Part"), Column("Plugin"), Column("Distribution"), Column("Digest")]
    return Table("Plugins, with SHA-256 digests of their code", columns, rows)


def _digests(environment: dict[str, Any]) -> Table:
    """Return what tells whether data and weights are the same."""
    rows = [
        [
            Cell(f"{name} ({count(split.get('images'))} images)"),
            Cell(str(split.get("digest") or NOTHING), mark="digest"),
        ]
        for name, split in (environment.get("data") or {}).items()
    ]
    weights = environment.get("weights") or {}
    if weights:
        name = str(weights.get("file") or "weights").replace("\\", "/").rpartition("/")[2]
        rows.append([Cell(name), Cell(str(weights.get("sha256") or NOTHING), mark="digest")])
    return Table("SHA-256 digests", [Column("What"), Column("Digest")], rows)
