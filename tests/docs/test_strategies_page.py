"""The page on strategies is what its results and its text give."""

import statistics

import pytest

from tests.benchmarks import strategies
from tests.benchmarks.results_file import ResultsFile, cell, from_text, to_text
from tests.benchmarks.strategies_page import Page

ROWS = {"one": ("probe", {}), "other": ("knn", {"neighbours": [1]})}
DAMAGED = {"noise": 0.5, "blur": 0.7, "contrast": 0.6, "jpeg": 0.8}


def measured(accuracy):
    return {
        "accuracy": accuracy,
        "seconds": 3.0,
        "images_through_backbone": 20,
        "trainable_parameters": 7,
        "version": "1",
        "corrupted": {"clean": accuracy, **DAMAGED},
    }


@pytest.fixture
def found():
    values = {"one": (0.9, 0.8, 0.85), "other": (0.7, 0.65, 0.75)}
    return {
        cell("set/a", row, ROWS[row][1], seed): measured(value)
        for row, of_row in values.items()
        for seed, value in enumerate(of_row)
    }


@pytest.fixture
def page(found):
    return Page(found, ROWS, ("set/a",), 3)


def test_the_page_in_the_docs_is_up_to_date():
    known = ResultsFile(strategies.RESULTS).read()
    page = Page(known, strategies.ROWS, tuple(strategies.DATA), strategies.SEEDS)
    text = strategies.TEMPLATE.read_text(encoding="utf-8")
    assert strategies.PAGE.read_text(encoding="utf-8") == page.filled(text)


def test_every_strategy_has_a_row_or_is_left_out_on_purpose():
    assert strategies.forgotten() == []


def test_a_figure_in_a_sentence_is_its_cells_mean_with_students_interval(page):
    # Of three values: 4.303 standard errors.
    half = 4.303 * statistics.stdev([90, 80, 85]) / 3**0.5
    shown = page.filled("it is {accuracy:set/a:one}")
    assert shown == f"it is 85.0 % ({85 - half:.1f} to {min(100, 85 + half):.1f})"


def test_a_difference_is_taken_seed_by_seed(page):
    half = 4.303 * statistics.stdev([20, 15, 10]) / 3**0.5
    shown = page.filled("{difference:set/a:one:other}")
    assert shown == f"+15.0 points ({15 - half:.1f} to {15 + half:.1f})"


def test_a_verdict_is_given_where_the_interval_of_the_difference_leaves_out_zero(found):
    assert Page(found, ROWS, ("set/a",), 3).filled("{verdict:set/a:one:other}") == "better"
    assert Page(found, ROWS, ("set/a",), 3).filled("{verdict:set/a:other:one}") == "worse"
    close = {**found, cell("set/a", "one", {}, 0): measured(0.6)}
    assert Page(close, ROWS, ("set/a",), 3).filled("{verdict:set/a:one:other}") == "not told apart"
    assert "not measured yet" in Page(found, ROWS, ("set/a",), 4).filled(
        "{verdict:set/a:one:other}"
    )


def test_what_is_missing_is_visible(found):
    del found[cell("set/a", "one", {}, 2)]
    page = Page(found, ROWS, ("set/a",), 3)
    assert "2 of 3 seeds" in page.filled("{accuracy:set/a:one}")
    assert "| 2 of 3 |" in page.filled("{table:set/a}")
    assert Page({}, ROWS, ("set/a",), 3).filled("{accuracy:set/a:one}") == "-"


def test_a_row_with_other_options_is_another_row(found):
    page = Page(found, {**ROWS, "other": ("knn", {})}, ("set/a",), 3)
    assert page.filled("{accuracy:set/a:other}") == "-"


def test_a_claim_leads_to_its_row(page):
    link = page.filled("{cell:set/a:one}")
    target = link.partition("(#")[2].rstrip(")")
    assert f'<a id="{target}"></a>one' in page.filled("{table:set/a}")


def test_all_placeholders_that_mean_nothing_are_named_at_once(page):
    with pytest.raises(ValueError, match=r"\{accuracy:set/a:nobody\}.*\{nothing\}"):
        page.filled("{accuracy:set/a:nobody} {nothing} {seeds}")


def test_results_are_a_line_a_cell_and_come_back_as_they_were(found):
    text = to_text(found)
    assert len(text.splitlines()) == len(found) + 2
    assert from_text(text) == found


def test_two_at_work_on_one_file_never_measure_the_same_cell(tmp_path, found):
    wanted = sorted(found)[:2]
    first, second = (ResultsFile(tmp_path / "r.json", tmp_path / "state") for _ in range(2))
    with first.claimed(wanted) as mine, second.claimed(wanted) as yours:
        assert {mine, yours} == set(wanted)
        with second.claimed(wanted) as nothing:
            assert nothing is None
        first.add(mine, measured(0.5))
    with second.claimed(wanted) as left:
        assert left == yours
    assert second.read() == {mine: measured(0.5)}
    assert second.drop([mine]) == 1
    assert second.read() == {}


def test_the_hours_left_are_those_of_like_cells(found):
    slow = {one: {**measured(0.5), "seconds_of_cell": 3600.0} for one in found}
    left = [cell("set/a", "one", {}, 9), cell("set/a", "new", {}, 9), cell("set/b", "new", {}, 9)]
    assert strategies.hours_left(left, slow) == pytest.approx(3.0)
    assert strategies.hours_left(left, {}) is None


def test_the_cells_come_seed_by_seed_so_that_what_is_done_can_be_compared():
    cells = strategies.cells_of(tuning=False)
    assert [one.seed for one in cells] == sorted(one.seed for one in cells)
    assert len(set(cells)) == len(cells)
    only = strategies.cells_of(tuning=False, only=["digits/10"])
    assert {one.data for one in only} == {"digits/10"}
