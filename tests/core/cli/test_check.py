"""`tlf plugins check`: the contract of whatever is installed."""

import json
import re

import pytest

GOOD = """
from tlf.plugin import Declaration, Options, Strategy, Train, hookimpl


class Half(Strategy[Options]):
    def steps(self, outline, budget):
        print("planning")
        return [Train(name="half", trainable=(*outline.body, outline.head), epochs=budget.epochs)]


@hookimpl
def tlf_strategies():
    fields = {"summary": "half of it learns", "target": "tlf_good:Half"}
    return [Declaration(name="good/half", **fields), Declaration(name="good/whole", **fields)]
"""
BAD = GOOD.replace("good", "bad").replace("(*outline.body, outline.head)", "outline.body")


def test_a_plugin_that_keeps_the_contract_is_a_table_of_checks(tlf, install):
    install("good", GOOD)
    code, out, err = tlf("plugins", "check", "good")
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"^strategy good/half +cases +time +result", out, re.MULTILINE)
    assert re.search(r"^strategy good/whole ", out, re.MULTILINE)
    assert re.search(r"^head learns +1 +\d+\.\d s +ok", out, re.MULTILINE)
    assert re.search(r"^declaring imports no torch +1 +", out, re.MULTILINE)
    # What a plugin prints is not in the middle of the results.
    assert "planning" not in out


def test_one_that_breaks_it_is_told_what_to_change_and_the_exit_code_is_1(tlf, install):
    install("bad", BAD)
    code, out, err = tlf("plugins", "check", "bad/half")
    assert code == 1
    assert re.search(r"^head learns +1 +\d+\.\d s +failed", out, re.MULTILINE)
    assert "\nstrategy bad/half: head learns\n  for 1 stages and a budget of 1 epochs no" in out
    assert "bad/whole" not in out
    assert re.search(r"error: 1 of \d+ checks fails", err)


def test_several_are_checked_one_after_the_other_each_once(tlf, install):
    install("good", GOOD)
    install("bad", BAD)
    code, out, _ = tlf("plugins", "check", "good", "bad/half", "good/half")
    assert code == 1
    assert out.count("good/half") == 1
    assert out.index("good/half") < out.index("good/whole") < out.index("bad/half")


def test_json_says_of_each_check_what_came_of_it(tlf, install):
    install("bad", BAD)
    code, out, err = tlf("plugins", "check", "bad/half", "--json")
    assert code == 1
    results = json.loads(out)
    assert len(results) == 6 + 8
    (failed,) = [result for result in results if not result["passed"]]
    assert failed["kind"] == "strategy"
    assert failed["name"] == "bad/half"
    assert failed["case"] == ""
    assert failed["check"] == "head learns"
    assert failed["message"].startswith("for 1 stages and a budget of 1 epochs")
    assert failed["seconds"] >= 0
    assert "1 of 14 checks fails" in err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acme", "the plugin `acme`, from tlf-acme 1.2.3, is broken: ImportError: no libacme"),
        ("cvs", "no installed plugin is called `cvs`.*\n*hint: did you mean `csv`?"),
    ],
)
def test_what_cannot_be_checked_is_a_plugins_problem(name, words, tlf, install):
    install("acme", "raise ImportError('no libacme')\n")
    code, out, err = tlf("plugins", "check", name)
    assert (code, out) == (3, "")
    assert re.search(words, err)


def test_without_a_name_it_says_how_it_is_used(tlf):
    code, _, err = tlf("plugins", "check")
    assert code == 2
    assert "NAME" in err
