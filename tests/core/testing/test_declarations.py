"""Declarations that break a promise, each caught and told what to change."""

import pytest
from pydantic import BaseModel, model_validator

from tlf.plugin import Options
from tlf.testing import ContractError
from tlf.testing.declarations import (
    CHECKS,
    check_declaring_imports_no_torch,
    check_examples_are_valid,
    check_options_refuse_unknown_keys,
    check_requirements_are_installed,
    check_summary_is_one_line,
    check_target_resolves,
)
from tlf.testing.toys import ToyDevice

from .saboteurs import Saboteur

PLUGIN = """
from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies():
    return [Declaration(name="acme/half", summary="half of it", target="tlf_acme_half:Half")]
"""


#: What a process looks like that has imported torch.
FAKE_TORCH = "import sys; sys.modules.setdefault('torch', sys)"


class Loose(BaseModel):
    width: int = 1


class Nested(Options):
    inner: Loose = Loose()


class Crashing(Options):
    @model_validator(mode="before")
    @classmethod
    def crash(cls, values):
        return values["width"]


class Schemaless(Options):
    @classmethod
    def model_json_schema(cls, **_):
        raise KeyError("width")


SUMMARY, EXAMPLES = check_summary_is_one_line, check_examples_are_valid
UNKNOWN, TARGET = check_options_refuse_unknown_keys, check_target_resolves
REQUIRES, TORCH = check_requirements_are_installed, check_declaring_imports_no_torch
WORDY, BARE = "one line of 1 to 100 characters", "must name at least one small model"

SABOTEURS = (
    Saboteur(SUMMARY, None, WORDY, {"summary": ""}),
    Saboteur(SUMMARY, None, WORDY, {"summary": "two\nlines"}),
    Saboteur(SUMMARY, None, WORDY, {"summary": "padded "}),
    Saboteur(SUMMARY, None, WORDY, {"summary": "long " * 20 + "!"}),
    Saboteur(EXAMPLES, None, "at least one set of valid options", {"examples": ()}),
    Saboteur(EXAMPLES, None, r"\{'width': 'wide'\} is not", {"examples": ({"width": "wide"},)}),
    Saboteur(EXAMPLES, None, "the example {} is not valid", {"model": Crashing}),
    Saboteur(EXAMPLES, None, "`tlf_toy:Gone` is not there", {"options": "tlf_toy:Gone"}),
    Saboteur(EXAMPLES, None, BARE, {"kind": "backbone-family", "example_models": ()}),
    Saboteur(UNKNOWN, None, "derive it from `tlf.plugin.Options`", {"model": Loose}),
    Saboteur(UNKNOWN, None, "`Loose`, which the options model holds, takes", {"model": Nested}),
    Saboteur(UNKNOWN, None, "cannot be checked: .*KeyError", {"model": Crashing}),
    Saboteur(UNKNOWN, None, "a JSON Schema .*KeyError: 'width'", {"model": Schemaless}),
    Saboteur(TARGET, None, "No module named 'tlf_gone'", {"target": "tlf_gone:Half"}),
    Saboteur(TARGET, None, "`tlf_toy:Gone` is not there", {"target": "tlf_toy:Gone"}),
    Saboteur(TARGET, ToyDevice, "must be a subclass of `tlf.plugin.Strategy`"),
    Saboteur(TARGET, len, "must be a subclass of .* it is <built-in function len>"),
    Saboteur(TARGET, None, "needs `tlf-nowhere`", {"requires": ("tlf-nowhere",)}),
    Saboteur(REQUIRES, None, "`tlf-nowhere`, which is not inst", {"requires": ("tlf-nowhere",)}),
    Saboteur(TORCH, None, "`tlf_acme` .*imports torch", {"tlf_acme": f"import torch\n{PLUGIN}"}),
    Saboteur(
        TORCH,
        None,
        "calling its hooks imports torch: move that import",
        {"tlf_acme": PLUGIN.replace("    return", f"    {FAKE_TORCH}\n    return")},
    ),
    Saboteur(
        TORCH,
        None,
        "in a process of its own: NameError: no torch here",
        {
            "tlf_acme": "import sys\nif 'torch' not in sys.modules:\n"
            f"    raise NameError('no torch here')\n{PLUGIN}"
        },
    ),
)


@pytest.mark.parametrize("check", [check for check in CHECKS if check is not TORCH])
@pytest.mark.parametrize("kind", ["strategy", "backbone-family", "data-source"])
def test_a_declaration_that_keeps_its_promises_passes(check, kind, declare):
    check(declare(kind))


@pytest.mark.parametrize("declared", [{"options": None}, {"requires": ("torch", "numpy")}])
def test_a_declaration_may_have_no_options_and_require_what_is_installed(declared, declare):
    for check in CHECKS[:-1]:
        check(declare("strategy", **declared))


def test_a_module_that_imports_no_torch_passes(install):
    (entry,) = install(tlf_acme=PLUGIN).entries()
    check_declaring_imports_no_torch(entry)


@pytest.mark.parametrize("saboteur", [s for s in SABOTEURS if s.check is not TORCH], ids=str)
def test_a_declaration_that_breaks_a_promise_is_told_what_to_change(saboteur, declare):
    entry = declare(**{"kind": "strategy", "code": saboteur.target, **saboteur.declared})
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry)


@pytest.mark.parametrize("saboteur", [s for s in SABOTEURS if s.check is TORCH], ids=str)
def test_a_module_that_imports_torch_is_told_to_move_the_import(saboteur, install):
    (entry,) = install(**saboteur.declared).entries()
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry)
