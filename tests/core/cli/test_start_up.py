"""What a command imports. That it starts quickly is a benchmark; that it can is tested here."""

import subprocess
import sys

import pytest

#: Runs a command line, and says on standard error which libraries it has imported.
RUN = """
import sys
from tlf.cli import main
code = main(sys.argv[1:])
print("imported", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def imported_by(*words):
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, words)], check=True, capture_output=True, text=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("--version",),
        ("run", "--help"),
        ("init", "--help"),
        ("tune-lr", "--help"),
        ("backbones", "list", "--help"),
        ("devices", "--help"),
        ("devices", "list", "--help"),
        ("plugins", "list"),
        ("plugins", "list", "--json"),
        ("plugins", "show", "torchvision"),
        ("plugins", "show", "full-fine-tuning"),
        ("spec", "schema"),
    ],
    ids=" ".join,
)
def test_what_needs_no_network_imports_no_heavy_library(words):
    heavy = {"torch", "torchvision", "numpy", "sklearn", "PIL", "click"}
    assert imported_by(*words) & heavy == set()


def test_a_spec_is_validated_without_a_heavy_library(spec_file):
    heavy = {"torch", "torchvision", "numpy", "sklearn", "PIL", "click"}
    assert imported_by("spec", "validate", spec_file) & heavy == set()


@pytest.mark.parametrize("words", [("--help",), ("--version",)], ids=" ".join)
def test_help_and_version_import_hardly_more_than_typer(words):
    assert imported_by(*words) & {"pydantic", "rich", "tlf_builtin"} == set()
