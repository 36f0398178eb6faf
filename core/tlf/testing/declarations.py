"""Checks for everything that a plugin declares, of whatever kind."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

from tlf.errors import SpecError, TlfError
from tlf.plugin import BackboneFamilyDeclaration
from tlf.testing.promises import ContractError, must_work, require, target_of

if TYPE_CHECKING:
    from tlf.registry import Entry

__tracebackhide__ = True

#: No sane option is called this.
UNKNOWN_KEY = "surely_no_such_option"


def check_summary_is_one_line(entry: Entry) -> None:
    """The summary fits into a list."""
    summary = entry.declaration.summary
    require(
        summary.strip() == summary and len(summary.splitlines()) == 1 and len(summary) <= 100,
        f"the summary must be one line of 1 to 100 characters, not `{summary}`",
    )


def check_examples_are_valid(entry: Entry) -> None:
    """There is something to try, and the options model takes each of the examples."""
    declaration = entry.declaration
    require(declaration.examples, "`examples` must hold at least one set of valid options")
    if isinstance(declaration, BackboneFamilyDeclaration):
        require(declaration.example_models, "`example_models` must name at least one small model")
    for example in declaration.examples:
        try:
            entry.options(example)
        except TlfError as error:
            raise ContractError(f"the example {dict(example)} is not valid: {error}") from error


def check_options_refuse_unknown_keys(entry: Entry) -> None:
    """A typo in an option, at any depth, is an error and not a default."""
    for example in entry.declaration.examples:
        try:
            entry.options({**example, UNKNOWN_KEY: 1})
        except SpecError:
            continue
        except TlfError as error:
            raise ContractError(f"the options cannot be checked: {error}") from error
        require(False, "the options model takes any key: derive it from `tlf.plugin.Options`")
    with must_work("making a JSON Schema of the options model"):
        schema = entry.options_model().model_json_schema()
    for name, part in schema.get("$defs", {}).items():
        require(
            not _takes_any_key(part),
            f"`{name}`, which the options model holds, takes any key: derive it from "
            "`tlf.plugin.Options` too",
        )


def _takes_any_key(schema: dict[str, Any]) -> bool:
    return "properties" in schema and schema.get("additionalProperties") is not False


def check_target_resolves(entry: Entry) -> None:
    """The target can be imported and is a subclass of the kind's interface."""
    target_of(entry)


def check_requirements_are_installed(entry: Entry) -> None:
    """Every distribution that the declaration requires is here."""
    for name in entry.declaration.requires:
        try:
            metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError) as error:
            message = f"`requires` names the distribution `{name}`, which is not installed"
            raise ContractError(message) from error


def check_declaring_imports_no_torch(entry: Entry) -> None:
    """The plugin's module, which every command imports, and its hooks do not pull in torch."""
    point = entry.plugin.value
    module = point.partition(":")[0]
    # The child looks where this process looks: pytest may have added to the path.
    script = (
        "import sys\n"
        "from importlib.metadata import EntryPoint\n"
        f"sys.path += [path for path in {sys.path!r} if path not in sys.path]\n"
        f"plugin = EntryPoint('', {point!r}, '').load()\n"
        "for name in dir(plugin):\n"
        "    if hasattr(getattr(plugin, name), 'tlf_impl'):\n"
        "        getattr(plugin, name)()\n"
        "print('\\ntorch' if 'torch' in sys.modules else '')\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    said = done.stderr.strip().rpartition("\n")[2]
    require(
        done.returncode == 0,
        f"`{point}` cannot be imported, or its hooks fail, in a process of its own: {said}",
    )
    require(
        not done.stdout.endswith("\ntorch\n"),
        f"importing `{module}` or calling its hooks imports torch: move that import into the module "
        "of the target",
    )


CHECKS = (
    check_summary_is_one_line,
    check_examples_are_valid,
    check_options_refuse_unknown_keys,
    check_target_resolves,
    check_requirements_are_installed,
    check_declaring_imports_no_torch,
)
