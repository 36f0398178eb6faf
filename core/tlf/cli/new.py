"""`tlf plugins new`: the package of a new plugin."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlf.cli.arguments import Json

if TYPE_CHECKING:
    from tlf.scaffold import Package


def new_command(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="What the package is to be called: `tlf-acme`, say."),
    ],
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="What it is to provide: a `backbone-family`, `data-source`, `device`, `observer`, "
            "`strategy` or `transform`.",
        ),
    ],
    directory: Annotated[
        Path, typer.Option(metavar="DIR", help="Put the package's folder here.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Write the package of a new plugin, to be changed.

    It works as it is written: its own tests pass, the contract tests among them. The last line on
    stdout is the package's folder, which must not exist yet.
    """
    from tlf.cli.output import write_json, write_line
    from tlf.cli.plugins import check_kind
    from tlf.registry import load_registry
    from tlf.scaffold import write_package

    check_kind(kind)
    package = write_package(name, kind, directory, installed=load_registry().plugins)
    show_next_steps(package)
    if as_json:
        write_json(
            {
                "directory": str(package.directory),
                "plugin": package.plugin,
                "files": list(package.files),
            }
        )
    else:
        write_line(package.directory)


def show_next_steps(package: Package) -> None:
    """Say on standard error what to do with a new package.

    Args:
        package: The package.
    """
    from tlf.cli.output import messages

    steps = (
        f"cd {shlex.quote(str(package.directory))}",
        "pip install -e '.[dev]'",
        "tlf plugins list",
        "pytest",
        f"tlf plugins check {package.plugin}",
    )
    console = messages()
    console.print("next:")
    for step in steps:
        console.print(f"  {step}", soft_wrap=True)
