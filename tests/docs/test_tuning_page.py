"""The page on finding a learning rate: figures, options, defaults and names are those of the code."""

import dataclasses
import re
from pathlib import Path

from tests.benchmarks import learning_rates
from tests.benchmarks.results_file import ResultsFile
from tlf.cli import main
from tlf.engine.learning_rates import LearningRates, MeasuredRate, Repeat, StepRates
from tlf.engine.rate_rules import Curve
from tlf.engine.tuning import Range

TEXT = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")


def test_the_tables_are_what_the_results_say():
    known = ResultsFile(learning_rates.RESULTS).read()
    assert learning_rates.markdown(known) in TEXT


def test_the_rule_that_tlf_takes_is_the_best_of_those_that_were_tried():
    known = ResultsFile(learning_rates.RESULTS).read()
    for strategy in learning_rates.GRID:
        losses = {
            name: learning_rates.loss_at(known, strategy, rate)
            for name, rate in learning_rates.picked(known, strategy).items()
        }
        assert min(losses, key=losses.get) == "midway (tlf's)"


def test_every_option_is_on_the_page(capsys):
    main(["tune-lr", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", TEXT, re.MULTILINE))


def test_the_defaults_on_the_page_are_those_of_the_code():
    usual = Range()
    rows = dict(re.findall(r"^\| `--([a-z]+) [A-Z]+` \| (.*) \|$", TEXT, re.MULTILINE))
    assert f"rate: {usual.batches}, " in rows["batches"]
    assert f"first rate, {usual.lowest:g}:".replace("1e-05", "1e-5") in rows["from"]
    assert f"last one, {usual.highest:g};" in rows["to"]
    assert f"step, {usual.repeats}, " in rows["repeats"]
    assert (usual.batches, usual.repeats) == (learning_rates.BATCHES, learning_rates.REPEATS)


def test_every_name_in_python_is_on_the_page():
    named = set(re.findall(r"`(\w+)`", TEXT.partition("## From Python")[2]))
    for kind in (LearningRates, StepRates, MeasuredRate, Repeat, Curve):
        properties = {name for name, value in vars(kind).items() if isinstance(value, property)}
        names = {field.name for field in dataclasses.fields(kind)} | properties
        assert names - named <= ({"name"} if kind is LearningRates else {"rates"})
