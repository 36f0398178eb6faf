"""The worked plugin in examples/tlf-freezeout, and the page that is made of it."""

import ast
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.distributions import Environment
from tlf.plugin.declarations import KINDS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "tlf-freezeout"
PAGE = ROOT / "docs" / "writing-a-plugin.md"
#: What a plugin may import of tlf; `tlf.testing` in its tests only.
PUBLIC = {"tlf.plugin", "tlf.errors"}


def blocks(language):
    """Return the fenced blocks of the page that are in a language."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def written(pattern):
    return [path.read_text(encoding="utf-8") for path in PACKAGE.rglob(pattern)]


def imported(path):
    """Yield the modules that a file imports, by their full names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


@pytest.mark.parametrize(("language", "files"), [("python", "*.py"), ("toml", "*.toml")])
def test_a_block_of_the_page_is_in_the_package(language, files):
    found = blocks(language)
    assert found
    texts = written(files)
    assert [block for block in found if not any(block in text for text in texts)] == []


def test_the_page_has_a_row_for_every_kind_of_plugin():
    page = PAGE.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([\w-]+)` \| `(\w+)` \|", page, re.MULTILINE))
    assert rows == set(KINDS.items())


@pytest.mark.parametrize("room", ["src", "tests"])
def test_the_package_imports_what_is_public(room):
    modules = {module for path in (PACKAGE / room).rglob("*.py") for module in imported(path)}
    ours = {module for module in modules if module.partition(".")[0] in ("tlf", "tlf_builtin")}
    assert ours <= PUBLIC | ({"tlf.testing"} if room == "tests" else set())


def test_the_plans_are_as_the_packages_own_tests_say():
    """Without the contract, which needs the plugin to be installed."""
    run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_progressive.py",
        cwd=PACKAGE,
        on="src",
    )


def run(*command, cwd, on=None):
    """Return what a command prints; with a folder that Python looks for modules in."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if on is not None:
        environment["PYTHONPATH"] = str(cwd / on)
    done = subprocess.run(
        [*map(str, command)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment that the plugin's wheel is installed in."""
    folder = tmp_path_factory.mktemp("freezeout")
    build = ("pip", "wheel", "--quiet", "--no-deps", "-w", folder)
    run(sys.executable, "-m", *build, PACKAGE, cwd=folder)
    environment = Environment(folder / "env")
    environment.install(*folder.glob("tlf_freezeout-*.whl"))
    return environment


def output_of(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_installed_plugin_is_listed_as_ok(environment):
    listed = json.loads(output_of(environment.tlf("plugins", "list", "--json")))
    (plugin,) = [one for one in listed if one["name"] == "freezeout"]
    assert plugin["state"] == "ok"
    assert plugin["distribution"] == "tlf-freezeout"
    assert [one["name"] for one in plugin["provides"]] == ["freezeout/progressive"]
    assert Path(plugin["file"]).is_relative_to(environment.folder)


@pytest.mark.slow
def test_the_plan_on_the_page_is_the_one_that_is_made(environment):
    page = PAGE.read_text(encoding="utf-8")
    (shown,) = re.findall(r"^ {4}stage .*?\n\n(?! {4})", page, re.MULTILINE | re.DOTALL)
    changes = ("--set", "strategy=freezeout/progressive", "--set", "training.epochs=4")
    output = output_of(environment.tlf("plan", PACKAGE / "spec.json", *changes))
    assert [line.strip() for line in shown.splitlines() if line.strip() not in output] == []


@pytest.mark.slow
def test_the_packages_own_tests_pass_with_the_contract_among_them(environment):
    words = ("-m", "pytest", "-v", "-p", "no:cacheprovider")
    output = output_of(environment.run(*words, cwd=PACKAGE))
    assert "test_contract[strategy freezeout/progressive: plan can be carried out] PASSED" in output


@pytest.mark.slow
def test_the_plugin_keeps_the_contract_by_the_command_too(environment):
    results = json.loads(output_of(environment.tlf("plugins", "check", "freezeout", "--json")))
    assert len(results) == 6 + 4 * 8
    assert all(result["passed"] for result in results)


@pytest.mark.slow
def test_a_run_freezes_more_and_more_and_finds_what_it_kept(environment, tmp_path):
    options = {"name": "freezeout/progressive", "options": {"first": 0.3}}
    settings = (
        f"strategy={json.dumps(options)}",
        "training.epochs=24",
        "data.options.shots=3",
        f"output={tmp_path}",
    )
    changes = [part for setting in settings for part in ("--set", setting)]
    output_of(environment.tlf("run", PACKAGE / "spec.json", *changes))
    (folder,) = tmp_path.glob("digits*")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    assert report["strategy"]["name"] == "freezeout/progressive"
    assert report["metrics"]["accuracy"] > 0.8
    steps = report["steps"]
    assert sum(step["epochs"] for step in steps) == 24
    assert [step["frozen_stages"] for step in plan["steps"]] == list(range(10))
    for before, after in pairwise(steps):
        assert after["frozen_parameters"] > before["frozen_parameters"]
    # A step of several epochs computes the frozen part in the first, and finds it in the others.
    longer = [step for step in steps[1:] if step["epochs"] > 1]
    assert longer[-1] is steps[-1]
    assert all(step["cache"]["rows_found"] > 0 for step in longer)
