"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Spec = Annotated[
    str, typer.Argument(metavar="SPEC", help="The spec file; `-` reads it from stdin.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Change a field: `training.epochs=3`. May be repeated."
    ),
]
OutputDirectory = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write here, into a directory that must not exist yet."),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
