"""The kit as a whole: which checks run on what, and what an author sees of them."""

import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from typing import ClassVar

import pytest

import tlf.testing
from tlf.testing import ContractError, PluginContract, checks_of

from . import (
    test_adapters,
    test_backbones,
    test_data_sources,
    test_declarations,
    test_devices,
    test_observers,
    test_strategies,
    test_transforms,
)

MODULES = [
    import_module(f"tlf.testing.{info.name}") for info in pkgutil.iter_modules(tlf.testing.__path__)
]
CHECKS = {check for module in MODULES for check in getattr(module, "CHECKS", ())}
SABOTEURS = [
    saboteur
    for module in (
        test_adapters,
        test_backbones,
        test_data_sources,
        test_declarations,
        test_devices,
        test_observers,
        test_strategies,
        test_transforms,
    )
    for saboteur in module.SABOTEURS
]

PLUGIN = """
from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies():
    return [
        Declaration(
            name="acme/half",
            summary="half of it learns",
            target="tlf_acme_half:Half",
            options="tlf_acme_half:HalfOptions",
            examples=({}, {"rate": 0.5}),
        )
    ]
"""
STRATEGY = """
from tlf.plugin import Options, Strategy, Train


class HalfOptions(Options):
    rate: float = 0.1


class Half(Strategy[HalfOptions]):
    def steps(self, outline, budget):
        half = outline.body[len(outline.body) // 2 :]
        rates = dict.fromkeys(half, self.options.rate)
        trainable = (*half, outline.head)
        return [Train(name="half", trainable=trainable, epochs=budget.epochs, rates=rates)]
"""
#: The strategy without its head, which the promise of that name is about.
SABOTAGED = STRATEGY.replace("(*half, outline.head)", "half")
#: The checks of one promise: what is seen of failures needs no training.
ONE_PROMISE = ("-k", "head and learns")
#: All that an author writes.
CONTRACT = """
from tlf.testing import PluginContract

class TestContract(PluginContract):
    plugin = "acme"
"""


def test_every_check_has_a_saboteur_that_it_catches():
    assert {check.__name__ for check in CHECKS} == {
        saboteur.check.__name__ for saboteur in SABOTEURS
    }


def test_every_function_called_check_is_in_the_list_that_is_run():
    defined = {
        value
        for module in MODULES
        for name, value in vars(module).items()
        if name.startswith("check_") and value.__module__ == module.__name__
    }
    assert len(defined) > 30
    assert defined == CHECKS


def test_every_check_says_what_is_promised():
    for check in CHECKS:
        assert check.__doc__.rstrip().endswith("."), check


def test_every_example_is_checked_under_a_name_of_its_own(install):
    names = [bound.name for bound in checks_of("acme", install(tlf_acme=PLUGIN))]
    assert len(names) == len(set(names)) == 6 + 2 * 8
    assert "strategy acme/half: summary is one line" in names
    assert "strategy acme/half: head learns" in names
    assert "strategy acme/half {'rate': 0.5}: head learns" in names


def test_every_model_of_a_family_is_checked_with_every_example(install):
    plugin = """
from tlf.plugin import BackboneFamilyDeclaration, hookimpl


@hookimpl
def tlf_backbone_families():
    examples = ({}, {"wide": True})
    return [
        BackboneFamilyDeclaration(
            name="acme",
            summary="networks",
            target="tlf_acme_family:Family",
            example_models=("a", "b"),
            examples=examples,
        )
    ]
"""
    names = [bound.name for bound in checks_of("acme", install(tlf_acme=plugin))]
    listed = [name for name in names if name.endswith(": model is listed")]
    assert listed == [
        f"backbone-family acme/{model}{options}: model is listed"
        for model in "ab"
        for options in ("", " {'wide': True}")
    ]


@pytest.mark.parametrize(
    ("plugin", "source", "words"),
    [
        ("acme", "raise ImportError('libacme')", "the plugin `acme` is broken: .*libacme"),
        ("acme", "", "the plugin `acme` declares nothing"),
        ("acne", PLUGIN, "no installed plugin is called `acne`"),
    ],
)
def test_a_plugin_that_cannot_be_checked_is_told_why(plugin, source, words, install):
    registry = install(tlf_acme=source)
    with pytest.raises(ContractError, match=words):
        checks_of(plugin, registry)


def test_a_contract_without_a_plugin_says_what_to_write():
    class TestNothing(PluginContract):
        pass

    class Metafunc:
        fixturenames = ("check",)

    with pytest.raises(ContractError, match=r'`TestNothing` must say .*`plugin = "acme"`'):
        TestNothing().pytest_generate_tests(Metafunc())


def test_tests_that_an_author_adds_to_the_contract_are_left_alone():
    class TestMore(PluginContract):
        plugin = "not looked up"

    class Metafunc:
        fixturenames = ("tmp_path",)

    TestMore().pytest_generate_tests(Metafunc())


PLAIN = ("-W", "error", "-p", "no:cacheprovider", "--color=no")


def run_pytest(folder, *words, contract=CONTRACT):
    """Run the tests of an author, where the plugin's distribution is on the path."""
    tests = folder / "author"
    tests.mkdir()
    if contract:
        (tests / "test_acme.py").write_text(contract)
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *PLAIN],
        cwd=tests,
        env={**environment, "PYTHONPATH": str(folder / "site"), "COLUMNS": "200"},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_three_lines_run_the_contract_of_an_installed_plugin(install, tmp_path):
    install(tlf_acme=PLUGIN, tlf_acme_half=STRATEGY)
    code, out = run_pytest(tmp_path)
    assert "22 passed" in out, out
    assert code == 0


def test_a_sabotaged_plugin_fails_by_the_name_of_the_check_with_the_sentence(install, tmp_path):
    install(tlf_acme=PLUGIN, tlf_acme_half=SABOTAGED)
    code, out = run_pytest(tmp_path, *ONE_PROMISE)
    assert code == 1
    assert "2 failed, 20 deselected" in out, out
    assert "TestContract::test_contract[strategy acme/half: head learns]" in out
    assert "ContractError: for 1 stages and a budget of 1 epochs no step trains the head" in out


def test_a_failure_that_is_expected_is_none_and_says_why(install, tmp_path):
    install(tlf_acme=PLUGIN, tlf_acme_half=SABOTAGED)
    expecting = f'{CONTRACT}    expected_failures = {{"head learns": "acme has its own head"}}\n'
    code, out = run_pytest(tmp_path, "-rx", *ONE_PROMISE, contract=expecting)
    assert code == 0, out
    assert "20 deselected, 2 xfailed" in out
    assert "acme has its own head: for 1 stages and a budget of 1 epochs no step trains" in out


def test_a_failure_that_is_expected_and_does_not_come_is_one(install, tmp_path):
    install(tlf_acme=PLUGIN, tlf_acme_half=STRATEGY)
    name = "strategy acme/half {'rate': 0.5}: head learns"
    expecting = f'{CONTRACT}    expected_failures = {{"{name}": "not yet"}}\n'
    code, out = run_pytest(tmp_path, *ONE_PROMISE, contract=expecting)
    assert code == 1
    assert "1 failed, 1 passed" in out, out
    assert "is expected to fail (not yet), and passes: take it out of `expected_failures`" in out


def test_an_expected_failure_of_a_check_that_does_not_exist_is_refused(install):
    class TestAcme(PluginContract):
        plugin = "csv"
        expected_failures: ClassVar = {"hears a run to its and": "not yet"}

    class Metafunc:
        fixturenames = ("check",)

    with pytest.raises(
        ContractError, match="no check of `csv`; did you mean `hears a run to its e"
    ):
        TestAcme().pytest_generate_tests(Metafunc())


def test_pytest_runs_a_contract_without_a_test_file(install, tmp_path):
    install(tlf_acme=PLUGIN, tlf_acme_half=SABOTAGED)
    code, out = run_pytest(tmp_path, "--tlf-plugin", "acme", *ONE_PROMISE, contract=None)
    assert code == 1
    assert "2 failed, 20 deselected" in out, out
    assert "for 1 stages and a budget of 1 epochs no step trains the head" in out
    # The sentence is all that an author needs.
    assert "strategies.py" not in out


def test_pytest_says_of_a_plugin_that_is_not_there_that_it_is_not(install, tmp_path):
    install(tlf_acme=PLUGIN, tlf_acme_half=STRATEGY)
    code, out = run_pytest(tmp_path, "--tlf-plugin", "acne", contract=None)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "no installed plugin is called `acne`" in out


@pytest.mark.slow
def test_the_fixture_runs_a_strategy_on_the_toy_network(install, tmp_path):
    install(tlf_acme=PLUGIN, tlf_acme_half=STRATEGY)
    test = """
def test_it_learns(tlf_toy_run):
    run = tlf_toy_run(strategy={"name": "acme/half", "options": {"rate": 0.5}})
    assert run.report["metrics"]["accuracy"] == 1.0
    assert run.start.keys() == {name.removeprefix("backbone.") for name in run.end
                                if name.startswith("backbone.")} | {"fc.weight", "fc.bias"}
"""
    code, out = run_pytest(tmp_path, contract=test)
    assert code == 0, out


def test_the_plugin_of_pytest_costs_other_projects_nothing(tmp_path):
    test = """
import sys


def test_nothing_is_there():
    mine = {"tlf", "torch", "pluggy_tlf", "pydantic", "numpy"} & set(sys.modules)
    assert not mine, mine
    assert "tlf_pytest" in sys.modules
"""
    code, out = run_pytest(tmp_path, contract=test)
    assert code == 0, out


def test_the_kit_loads_neither_torch_nor_pytest_before_it_is_used():
    # The toys are torch's through and through, and imported when something is run on them.
    toys = {"tlf.testing.toys", "tlf.testing.toy_adapters"}
    names = [module.__name__ for module in MODULES if module.__name__ not in toys]
    script = (
        f"import sys, tlf.testing, {', '.join(names)}\n"
        "print(sorted({'torch', 'pytest', '_pytest', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"
