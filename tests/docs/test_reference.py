"""The pages in docs say what the code says."""

import inspect
import json
import re
import runpy
from pathlib import Path

import pytest

from tlf.cli import app
from tlf.plugin import hooks
from tlf.plugin.declarations import KINDS
from tlf.registry import check, load_registry
from tlf.spec import RunSpec, load_raw

ROOT = Path(__file__).parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate.py"))
PAGES = [
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "README.md",
    *sorted(ROOT.glob("plugins/tlf_builtin/*/README.md")),
]


def json_blocks(page):
    """Return the blocks of a page that are JSON objects, fenced or indented by four spaces."""
    fenced = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", page, re.MULTILINE)
    for block in (*fenced, *indented):
        try:
            value = json.loads(block)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def specs():
    for page in PAGES:
        blocks = json_blocks(page.read_text(encoding="utf-8"))
        for number, block in enumerate(blocks, start=1):
            value = dict(block)
            # Many a page shows only the section that it speaks of.
            if value and value.keys() <= RunSpec.model_fields.keys():
                value |= {"data": "digits", "backbone": "tlf/resnet20"}
            if {"data", "backbone"} <= value.keys():
                yield pytest.param(value, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize("name", sorted(GENERATOR["PAGES"]))
def test_a_reference_page_is_what_the_code_gives(name):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == GENERATOR["PAGES"][name](), f"docs/{name} is out of date: run `make docs`"


def test_the_reference_has_every_command():
    commands = {(command.name,) for command in app.registered_commands}
    for group in app.registered_groups:
        commands.add((group.name,))
        for command in group.typer_instance.registered_commands:
            commands.add((group.name, command.name))
    assert set(GENERATOR["COMMANDS"]) == commands


@pytest.mark.parametrize("spec", list(specs()))
def test_a_spec_in_the_docs_is_valid(spec):
    check(load_raw(spec), load_registry())


def test_json_blocks_are_found_fenced_and_indented():
    page = 'Text\n\n    {"a": 1}\n\n```json\n{\n  "b": 2\n}\n```\n\n    tlf run\n'
    assert list(json_blocks(page)) == [{"b": 2}, {"a": 1}]


def hook_specifications():
    return [
        function
        for _, function in inspect.getmembers(hooks, inspect.isfunction)
        if hasattr(function, f"{hooks.PROJECT}_spec")
    ]


@pytest.mark.parametrize("hook", hook_specifications(), ids=lambda hook: hook.__name__)
def test_a_hook_has_a_section_with_its_arguments(hook):
    page = (ROOT / "docs" / "plugin-hooks.md").read_text(encoding="utf-8")
    arguments = ", ".join(inspect.signature(hook).parameters)
    assert f"\n## {hook.__name__}({arguments})\n" in page


def test_the_page_on_hooks_has_no_section_on_one_that_does_not_exist():
    page = (ROOT / "docs" / "plugin-hooks.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^## (\w+)\(", page, re.MULTILINE))
    assert described == {hook.__name__ for hook in hook_specifications()} == set(KINDS.values())


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted(ROOT.glob("examples/*/README.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_no_page_has_a_place_that_is_yet_to_be_filled(page):
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"\b[A-Z]+_(?:TABLE|TEXT|README)\b|TODO|FIXME|XXX", text)


def test_every_one_of_the_smallest_models_of_timm_is_in_the_table_of_stages():
    page = (ROOT / "docs" / "stages.md").read_text(encoding="utf-8")
    models = (ROOT / "docs" / "timm_smallest.txt").read_text(encoding="utf-8").split()
    assert [model for model in models if f"| `{model}` |" not in page] == []
