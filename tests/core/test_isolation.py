"""Real distributions, installed by pip, most of them broken: each is a row, and harms nobody."""

import json
import os
import re

import pytest

from tests.distributions import Environment, write_wheel

HEADER = """
from tlf.plugin import BackboneFamilyDeclaration, Declaration, hookimpl


def declare(*names):
    fields = {"summary": "half of it learns", "target": "tlf_good:Half"}
    return [Declaration(name=name, **fields) for name in names]

"""
GOOD = """
from tlf.plugin import Options, Strategy, Train


class Half(Strategy[Options]):
    def steps(self, outline, budget):
        return [Train(name="half", trainable=(outline.head,), epochs=budget.epochs)]


@hookimpl
def tlf_strategies():
    return declare("good/half")
"""
STRATEGY = "@hookimpl\ndef tlf_strategies():\n    return declare({!r})\n"

FAMILY = """
@hookimpl
def tlf_backbone_families():
    fields = {"summary": "x", "target": "tlf_taker:X", "example_models": ("x",)}
    return [BackboneFamilyDeclaration(name="torchvision", **fields)]
"""

#: What is wrong with each plugin, by its name: source, and what its row must say.
SABOTEURS = {
    "importless": ("import tlf_nowhere_at_all\n", "ModuleNotFoundError.*tlf_nowhere_at_all"),
    "misspelled": ("def tlf_strategies(:\n", "SyntaxError"),
    "curious": (
        "@hookimpl\ndef tlf_strategies(config):\n    return []\n",
        "the hook `tlf_strategies` has no argument `config`",
    ),
    "slip": (
        "@hookimpl\ndef tlf_stratgies():\n    return []\n",
        "there is no hook `tlf_stratgies`; did you mean `tlf_strategies`",
    ),
    "raising": (
        "@hookimpl\ndef tlf_strategies():\n    raise KeyError('acme')\n",
        "the hook `tlf_strategies` fails: KeyError: 'acme'",
    ),
    "wrong-type": (
        "@hookimpl\ndef tlf_strategies():\n    return {'name': 'x'}\n",
        "must return a list of `Declaration`, not a `dict`",
    ),
    "bare": (STRATEGY.format("full-fine-tuning"), "must be called `bare/full-fine-tuning`"),
    "taker": (
        FAMILY,
        "`torchvision` is also declared by the plugin `torchvision` of `tlf`",
    ),
    "double": (
        "@hookimpl\ndef tlf_strategies():\n    return declare('double/x', 'double/x')\n",
        "declares the strategy `double/x` twice",
    ),
    "leaving": ("import sys\nsys.exit(3)\n", r"it calls `sys\.exit\(3\)`"),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with a good plugin, and with one that is broken in each known way."""
    folder = tmp_path_factory.mktemp("distributions")
    environment = Environment(folder / "env")
    wheels = []

    def add(plugin, source, *, distribution=None, value=None, group="tlf.v1"):
        distribution = distribution or f"tlf-{plugin}"
        module = distribution.replace("-", "_")
        files = {f"{module}/__init__.py": HEADER + source}
        points = {plugin: value or module}
        wheels.append(write_wheel(folder, distribution, files, points, group=group))

    add("good", GOOD)
    for plugin, (source, _) in SABOTEURS.items():
        add(plugin, source)
    add("twin", STRATEGY.format("twin/x"), distribution="tlf-castor")
    add("twin", STRATEGY.format("twin/x"), distribution="tlf-pollux")
    add("nowhere", "", value="tlf_nowhere.inside:plugin")
    add("future", "raise SystemExit('it was imported')\n", group="tlf.v2")
    add("chatty", "print('hello from chatty')\n" + STRATEGY.format("chatty/x"))
    add("slow", "import torch\n" + STRATEGY.format("slow/x"))
    environment.install(*wheels)
    return environment


@pytest.fixture(scope="module")
def listed(environment):
    done = environment.tlf("plugins", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = {}
    for row in json.loads(done.stdout):
        rows.setdefault(row["name"], []).append(row)
    return rows


def test_everything_else_works_as_if_they_were_not_there(listed):
    assert {
        row["state"] for rows in listed.values() for row in rows if row["distribution"] == "tlf"
    } == {"ok"}
    (good,) = listed["good"]
    assert good["state"] == "ok"
    assert [thing["name"] for thing in good["provides"]] == ["good/half"]


@pytest.mark.parametrize("plugin", SABOTEURS)
def test_a_broken_distribution_is_one_row_with_its_reason(plugin, listed):
    (row,) = listed[plugin]
    assert (row["state"], row["distribution"], row["version"]) == ("broken", f"tlf-{plugin}", "1.0")
    assert re.search(SABOTEURS[plugin][1], row["reason"]), row["reason"]
    assert row["provides"] == []


def test_two_distributions_with_one_entry_point_are_both_out_with_both_owners(listed):
    assert [row["distribution"] for row in listed["twin"]] == ["tlf-castor", "tlf-pollux"]
    for row in listed["twin"]:
        assert row["state"] == "broken"
        assert "`tlf-castor` and `tlf-pollux` both have a plugin called `twin`" in row["reason"]


def test_an_entry_point_that_points_nowhere_says_where_it_points(listed):
    (row,) = listed["nowhere"]
    assert row["state"] == "broken"
    assert "tlf_nowhere.inside" in row["reason"]
    assert row["file"] is None


def test_a_plugin_of_another_version_of_the_api_is_recognised_without_being_imported(listed):
    (row,) = listed["future"]
    assert row["state"] == "incompatible"
    assert "it is made for version 2 of the plugin API" in row["reason"]


def test_what_a_plugin_prints_at_import_is_not_in_the_results(environment):
    done = environment.tlf("plugins", "list")
    assert "hello from chatty" not in done.stdout
    assert "hello from chatty" in done.stderr


def test_one_that_imports_torch_works_and_is_said_to_be_slow(environment, listed):
    (row,) = listed["slow"]
    assert row["state"] == "ok"
    assert row["note"] == "slow: importing it imports torch, so that every command waits for that"
    out = environment.tlf("plugins", "list").stdout
    assert re.search(r"slow/x .*ok,\s", out)
    assert "\nslow is slow: importing it imports torch" in out


def test_the_list_for_people_has_a_row_for_each_and_fits(environment):
    done = environment.tlf("plugins", "list")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("–")]
    assert {row[1] for row in rows} == {*SABOTEURS, "twin", "nowhere", "future"}
    head = done.stdout.partition("\n\n")[0]
    assert max(map(len, head.splitlines())) <= 80


def test_where_each_comes_from_is_in_the_list(environment, listed):
    (good,) = listed["good"]
    assert good["file"] == str(environment.site / "tlf_good" / "__init__.py")
    # Found without importing it, which fails.
    assert listed["importless"][0]["file"] == str(
        environment.site / "tlf_importless" / "__init__.py"
    )
    out = environment.tlf("plugins", "list", "--verbose").stdout
    for words in ("good = tlf_good", "tlf_good:Half", "tlf-good 1.0"):
        assert words in out
    assert str(environment.site / "tlf_good") in out.replace("\n", "").replace(" ", "")


@pytest.fixture
def plan(environment, small_spec, tmp_path):
    """Plan the small spec with a strategy, in the environment."""

    def plan(strategy, *words, **environ):
        path = tmp_path / "spec.json"
        path.write_text(json.dumps({**small_spec, "strategy": strategy}))
        return environment.tlf("plan", path, *words, env={**os.environ, **environ})

    return plan


def test_a_spec_that_needs_no_broken_plugin_works(plan):
    assert plan("good/half").returncode == 0


def test_a_spec_that_needs_a_broken_plugin_ends_with_3_its_error_and_the_way_out(plan):
    done = plan("raising/half")
    assert (done.returncode, done.stdout) == (3, "")
    assert (
        "the plugin `raising` (tlf-raising 1.0) is broken: the hook `tlf_strategies` fails: "
        in (done.stderr)
    )
    assert "KeyError: 'acme'" in done.stderr
    assert "hint: update `tlf-raising`, or choose something else" in done.stderr


def test_with_strict_plugins_any_broken_one_is_fatal_and_all_are_named(plan, environment):
    done = plan("good/half", "--strict-plugins")
    assert (done.returncode, done.stdout) == (3, "")
    for plugin in (*SABOTEURS, "twin", "nowhere", "future"):
        assert f"  {plugin} (tlf-" in done.stderr
    assert "slow (" not in done.stderr
    assert environment.tlf("--strict-plugins", "plugins", "list").returncode == 3


@pytest.mark.slow
def test_strict_plugins_is_content_with_those_that_are_chosen(plan):
    assert plan("good/half", "--strict-plugins", TLF_PLUGINS="good,chatty").returncode == 0


def test_with_tlf_plugins_only_those_named_are_imported(environment):
    environ = {**os.environ, "TLF_PLUGINS": "good"}
    rows = json.loads(environment.tlf("plugins", "list", "--json", env=environ).stdout)
    states = {row["name"]: row["state"] for row in rows}
    assert states["good"] == "ok"
    assert states["cpu"] == "ok"
    assert {state for name, state in states.items() if name in (*SABOTEURS, "twin", "chatty")} == {
        "disabled"
    }


def test_with_tlf_plugins_empty_there_are_none_but_the_built_in(environment):
    environ = {**os.environ, "TLF_PLUGINS": ""}
    rows = json.loads(environment.tlf("plugins", "list", "--json", env=environ).stdout)
    assert {row["distribution"] for row in rows if row["state"] == "ok"} == {"tlf"}
    assert all(row["state"] == "disabled" for row in rows if row["distribution"] != "tlf")


@pytest.mark.slow
def test_a_spec_that_needs_a_disabled_plugin_is_told_how_to_enable_it(plan):
    done = plan("good/half", TLF_PLUGINS="chatty")
    assert done.returncode == 3
    assert (
        "the plugin `good` (tlf-good 1.0) is disabled: `TLF_PLUGINS` does not name it"
        in done.stderr
    )
    assert "hint: add `good` to `TLF_PLUGINS`" in done.stderr


def test_a_name_in_tlf_plugins_that_nothing_has_is_a_row_with_the_nearest(environment, plan):
    environ = {**os.environ, "TLF_PLUGINS": "goood"}
    rows = json.loads(environment.tlf("plugins", "list", "--json", env=environ).stdout)
    (row,) = [row for row in rows if row["name"] == "goood"]
    assert (row["state"], row["distribution"]) == ("broken", "")
    assert row["reason"] == "`TLF_PLUGINS` names it, and it is not installed; did you mean `good`?"
    done = plan("good/half", "--strict-plugins", TLF_PLUGINS="goood")
    assert "goood (not installed) is broken: `TLF_PLUGINS` names it" in done.stderr
