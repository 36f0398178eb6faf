"""The figures on the page about performance that have results in the repository are theirs."""

import json
import re
from pathlib import Path

from tests.benchmarks import comparing, deterministic, fine_tune, statistics
from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.results_file import ResultsFile

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_the_table_beside_fastai_is_what_the_results_say():
    found = fine_tune.show(ResultsFile(fine_tune.RESULTS))
    page = PAGE.read_text(encoding="utf-8")
    for name, row in found.items():
        accuracy = sum(row["accuracy"]) / len(row["accuracy"])
        low, high = row["interval"]
        shown = "fastai `fine_tune`" if name == fine_tune.FASTAI else f"`{name}`"
        difference = ""
        if name != fine_tune.FASTAI:
            worst, best = (100 * bound for bound in row["difference"])
            difference = f"{worst:+.1f} to {best:+.1f} points"
        cells = (shown, f"{accuracy:.1%}", f"{low:.1%} to {high:.1%}", difference)
        line = f"| {' | '.join(cells)} | {row['seconds']:.0f} |".replace("|  |", "| |")
        assert line in page
        assert len(row["accuracy"]) == 5


def test_what_compare_gives_is_what_the_results_say():
    page = PAGE.read_text(encoding="utf-8")
    results = json.loads(comparing.RESULTS.read_text(encoding="utf-8"))
    assert results.keys() == comparing.SPECS.keys()
    for one in results.values():
        assert comparing.markdown(one) in page
        assert f"{one['multiple']:.1f} times" in page
        assert len(one["seeds"]) == 5


def test_the_readmes_table_is_what_the_results_say():
    readme = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    rows = json.loads(comparing.RESULTS.read_text(encoding="utf-8"))["ants-bees"]["rows"]
    for row in rows:
        low, high = row["interval"]
        control = ", the control" if row["name"] == "from-scratch" else ""
        line = f"| `{row['name']}`{control} | {row['accuracy']:.1%} | {low:.1%} to {high:.1%} |"
        assert line in readme


def test_what_compare_says_of_differences_holds_as_far_as_the_page_says():
    page = PAGE.read_text(encoding="utf-8")
    found = json.loads(statistics.RESULTS.read_text(encoding="utf-8"))
    assert statistics.markdown(found) in page
    assert [(one["seeds"], one["images"], one["spread"]) for one in found] == list(statistics.CASES)
    for one in found:
        assert one["rounds"] >= 1000
        assert one["false_calls"] <= 0.05
        assert 0.93 <= one["coverage"] <= 0.97


def test_what_determinism_costs_is_what_the_results_say():
    found = json.loads(deterministic.RESULTS.read_text(encoding="utf-8"))
    assert deterministic.markdown(found) in PAGE.read_text(encoding="utf-8")
    assert found["device"] == "cpu"
    assert found["same_bytes"] is True
    assert len(found["train"]) == len(found["whole"]) >= 3


def test_every_benchmark_that_the_page_names_is_there():
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"^## .*: `([a-z-]+)`$", text, re.MULTILINE))
    assert len(named) > 10
    assert named <= set(BENCHMARKS)
