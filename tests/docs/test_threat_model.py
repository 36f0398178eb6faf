"""Every test that the threat model names is there, and every test of safety is named."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def names_of_tests(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part)
def test_a_test_that_the_page_names_is_there(path, name):
    assert name in names_of_tests(path)


def test_every_test_of_what_a_command_does_is_on_the_page():
    # One is about the audit itself.
    wanted = {
        name
        for name in names_of_tests("tests/safety/test_what_is_done.py")
        if name.startswith("test_")
    }
    assert wanted - {name for _, name in NAMED} == {"test_the_audit_sees_what_is_done"}


def test_a_promise_without_a_test_is_none():
    promised = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
    for promise in re.split(r"\n(?=\*\*)", promised.strip()):
        assert "`tests/" in promise, promise
