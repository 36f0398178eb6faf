"""`tlf spec`: check a spec, and describe what one may hold."""

from __future__ import annotations

from dataclasses import asdict

import typer

from tlf.cli.arguments import Json, Set, Spec

spec_app = typer.Typer(
    help="Check a spec, or print the JSON Schema of all specs.", rich_markup_mode=None
)


@spec_app.command("validate")
def validate_command(spec: Spec, overrides: Set = None, as_json: Json = False) -> None:
    """Say `ok`, or everything that is wrong with SPEC.

    The plugins that it names are looked up too. Images and weights are not: `tlf plan` does that.
    """
    from tlf.cli.output import write_json, write_line
    from tlf.errors import SpecError
    from tlf.registry import check, load_registry
    from tlf.spec import load_raw

    try:
        check(load_raw(spec, overrides or ()), load_registry())
    except SpecError as error:
        if as_json:
            write_json({"valid": False, "problems": [asdict(p) for p in error.problems]})
        raise
    if as_json:
        write_json({"valid": True, "problems": []})
    else:
        write_line("ok")


@spec_app.command("schema")
def schema_command() -> None:
    """Print a JSON Schema of the run spec.

    It knows the options of every installed plugin, so an editor can complete and check them.
    """
    from tlf.cli.output import write_json
    from tlf.registry import load_registry, spec_schema

    write_json(spec_schema(load_registry()))
