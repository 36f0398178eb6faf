"""`tlf init`: a spec for a folder of images."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tlf.engine.suggest import Suggestion


def init_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder with the images.")],
    backbone: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Take this backbone: `tlf backbones list` has them all."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Start from this file, from `none` (random), or from `default`."
        ),
    ] = None,
) -> None:
    """Write a spec that fits FOLDER to stdout, and say on stderr why.

    Looks at how the folder is laid out and at the headers of the images. `tlf init photos >
    spec.json` keeps the spec; `tlf run spec.json` carries it out.
    """
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import messages, write_json

    # What a plugin prints would end up in the middle of the spec.
    with prompt_interrupt(), contextlib.redirect_stdout(sys.stderr):
        from tlf.engine.suggest import suggest

        suggestion = suggest(folder, backbone=backbone, weights=weights)
    write_json(suggestion.spec)
    explain(suggestion)
    console = messages()
    if _is_shown():
        options = [("--backbone", backbone), ("--weights", weights)]
        given = [word for name, value in options if value is not None for word in (name, value)]
        words = shlex.join(["tlf", "init", str(folder), *given])
        console.print(f"next: {words} > spec.json", soft_wrap=True)
        console.print("then: tlf run spec.json")
    else:
        console.print("next: tlf run spec.json")


def _is_shown() -> bool:
    """Say whether the spec went to a terminal, and so is kept nowhere."""
    return sys.stdout.isatty()


def explain(suggestion: Suggestion) -> None:
    """Say on standard error why a spec is as it is.

    Args:
        suggestion: The spec, and the reasons.
    """
    from tlf.cli.output import messages
    from tlf.cli.tables import table

    console = messages()
    for warning in suggestion.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    rows = [[reason.about, reason.why] for reason in suggestion.reasons]
    console.print(table(["field", "why"], rows))
    console.print()
