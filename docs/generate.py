"""Write the reference pages from the code: `make docs`. A test compares them with what lies here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TypeGuard

from pydantic import BaseModel

from tlf.cli.fields import describe_fields
from tlf.registry import load_registry
from tlf.spec import PartSpec, RunSpec
from tlf.spec.fields import models_in

HERE = Path(__file__).parent
COMMANDS = (
    ("init",),
    ("run",),
    ("plan",),
    ("tune-lr",),
    ("compare",),
    ("predict",),
    ("report",),
    ("repro",),
    ("backbones",),
    ("backbones", "list"),
    ("backbones", "show"),
    ("devices",),
    ("devices", "list"),
    ("cache",),
    ("cache", "list"),
    ("cache", "show"),
    ("cache", "clear"),
    ("cache", "verify"),
    ("data",),
    ("data", "check"),
    ("plugins",),
    ("plugins", "list"),
    ("plugins", "show"),
    ("plugins", "check"),
    ("plugins", "new"),
    ("spec",),
    ("spec", "schema"),
    ("spec", "validate"),
)


def spec_reference() -> str:
    """Return the page on the run spec."""
    lines = [
        "# The run spec",
        "",
        "Made from the code by `make docs`. A spec is one JSON object. Only `data` and `backbone` are",
        "required; an unknown key is an error at every level. Any field can be changed on the command",
        "line: `--set training.epochs=3`. `tlf spec schema` prints a JSON Schema for editors.",
        "",
    ]
    lines += _section("The whole spec", RunSpec)
    for name, field in RunSpec.model_fields.items():
        if _is_model(field.annotation) and field.annotation is not PartSpec:
            lines += _section(f"`{name}`", field.annotation)
            for inner, below in field.annotation.model_fields.items():
                for model in models_in(below.annotation):
                    lines += _section(f"`{name}.{inner}`", model)
    lines += _section("Parts that plugins provide", PartSpec)
    for entry in load_registry().entries():
        if entry.plugin.distribution == "tlf":
            lines += [f"### {entry.kind} `{entry.declaration.name}`", "", entry.declaration.summary]
            lines += ["", *_fields(entry.options_model()), ""]
    return "\n".join(lines).rstrip() + "\n"


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _section(title: str, model: type[BaseModel]) -> list[str]:
    return [f"## {title}", "", _first_line(model), "", *_fields(model), ""]


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _fields(model: type[BaseModel]) -> list[str]:
    fields = describe_fields(model)
    if not fields:
        return ["It takes no options."]
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for field in fields:
        default = f"`{field.default}`" if field.default else "see below"
        default = "required" if field.required else default
        rows.append(f"| `{field.name}` | {field.type} | {default} | {field.meaning} |")
    return rows


def command_reference() -> str:
    """Return the page on the command line: the help text of every command."""
    lines = [
        "# The command line",
        "",
        "Made from the code by `make docs`. Results go to standard output, messages to standard error.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | the run failed after it had begun; or `tlf repro` found a difference |",
        "| 2 | the spec, the command line, or the data and files they name cannot be used |",
        "| 3 | a plugin that is needed is missing or broken |",
        "| 130 | stopped by Ctrl-C |",
        "| 143 | stopped by SIGTERM |",
        "",
    ]
    for command in ((), *COMMANDS):
        lines += [f"## tlf {' '.join(command)}".rstrip(), "", "```text", _help(command), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _help(command: tuple[str, ...]) -> str:
    plain = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "TERM": "dumb"}
    for forcing in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
        plain.pop(forcing, None)
    tlf = Path(sys.executable).with_name("tlf")
    done = subprocess.run(
        [str(tlf), *command, "--help"], env=plain, check=True, capture_output=True, text=True
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


PAGES = {"spec.md": spec_reference, "commands.md": command_reference}


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
