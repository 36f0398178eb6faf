"""The page of a comparison."""

import json

import pytest

from tests.core.report import made
from tests.core.report.parsed import headings, parse, table
from tlf.errors import OutputError
from tlf.report import comparison_page


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    return comparison_page(made.comparison_folder(tmp_path_factory.mktemp("shots")))


def changed(folder, **values):
    comparison = json.loads((folder / "comparison.json").read_text())
    made.write_json(folder, comparison={**comparison, **values})
    return comparison_page(folder)


def test_the_advice_comes_first(shots):
    root = parse(shots)
    lead = next(node for node in root.one("main").all("p"))
    assert lead.text.startswith("Use full-fine-tuning")
    assert headings(root) == ["Ranking", "Accuracy", "Differences", "Failed runs", "Runs", "Method"]


def test_rows_are_ranked_within_their_group_and_what_has_no_rank_comes_last(shots):
    rows = table(parse(shots), "shots 3: accuracy and cost")
    assert [row[0] for row in rows[1:]] == [
        "1. full-fine-tuning", "2. gradual-unfreezing", "3. feature-extraction", "knn",
    ]  # fmt: skip
    assert rows[1][1:3] == ["83.0%80.0% to 85.5%", "1 min 38 s"]
    assert rows[4][-1] == "03 failed"


def test_rows_that_share_a_rank_are_in_the_order_of_their_accuracy_and_that_is_said(tmp_path):
    folder = made.comparison_folder(tmp_path, shots=(), seeds=1)
    rows = json.loads((folder / "comparison.json").read_text())["rows"]
    for row in rows[:3]:
        row["rank"] = 1
    root = parse(changed(folder, rows=list(reversed(rows))))
    shown = table(root, "Accuracy and cost, ranked by how many rows are really better")
    assert [row[0] for row in shown[1:]] == [
        "1. full-fine-tuning", "1. gradual-unfreezing", "1. feature-extraction", "knn",
    ]  # fmt: skip


def test_one_group_needs_no_heading_of_its_own(tmp_path):
    root = parse(comparison_page(made.comparison_folder(tmp_path, shots=())))
    assert table(root, "Accuracy and cost, the best first")[1][0] == "1. full-fine-tuning"
    assert not list(root.all("h3"))


def test_accuracy_over_shots_is_drawn_if_there_are_several(shots, tmp_path):
    assert 'aria-labelledby="shots-title' in shots
    one = comparison_page(made.comparison_folder(tmp_path, shots=(5,)))
    assert 'aria-labelledby="shots-title' not in one


def test_what_can_be_told_apart_is_said(shots):
    rows = table(parse(shots), "Differences of accuracy")
    assert rows[1] == [
        "full-fine-tuning – gradual-unfreezing", "shots 3", "+3.0", "−0.5 to +6.5", "no", "0.020",
    ]  # fmt: skip
    assert rows[3][4:] == ["yes", "< 0.001"]


def test_runs_that_failed_are_told_with_their_reason(shots):
    assert table(parse(shots), "Runs that failed")[1] == [
        "knn, shots 3", "0, 1 and 2", "the loss is not finite",
    ]  # fmt: skip


def test_only_runs_that_have_a_page_are_linked(shots):
    links = [node["href"] for node in parse(shots).all("a") if not node["href"].startswith("#")]
    assert links == ["run-0-0-0/report.html"]


@pytest.mark.parametrize("directory", ["../elsewhere", "/etc", "a/b", "", None, 'a" onclick="b'])
def test_a_directory_that_is_not_in_the_folder_is_no_link(tmp_path, directory):
    folder = made.comparison_folder(tmp_path / "c", shots=(), seeds=1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "report.html").write_text("")
    comparison = json.loads((folder / "comparison.json").read_text())
    for run in comparison["runs"]:
        run["directory"] = directory
    root = parse(changed(folder, runs=comparison["runs"]))
    assert all(node["href"].startswith("#") for node in root.all("a"))


def test_a_directory_with_odd_characters_is_linked(tmp_path):
    folder = made.comparison_folder(tmp_path, shots=(), seeds=1)
    odd = 'a "b" #c?&é'
    (folder / odd).mkdir()
    (folder / odd / "report.html").write_text("")
    comparison = json.loads((folder / "comparison.json").read_text())
    comparison["runs"][0]["directory"] = odd
    page = changed(folder, runs=comparison["runs"])
    assert 'href="a%20%22b%22%20%23c%3F%26%C3%A9/report.html"' in page


def test_hostile_names_show_as_they_are(tmp_path):
    folder = made.comparison_folder(tmp_path, names=made.HOSTILE, shots=())
    root = parse(comparison_page(folder))
    assert len(list(root.all("script"))) == 1
    assert not list(root.all("img"))
    names = [row[0] for row in table(root, "Accuracy and cost")[1:]]
    assert names[0] == "1. <img src=x onerror=alert(1)>"


def test_the_same_file_gives_the_same_bytes(shots, tmp_path):
    assert comparison_page(made.comparison_folder(tmp_path)) == shots


def test_what_is_not_there_is_left_out(tmp_path):
    made.write_json(tmp_path, comparison={"schema_version": 2})
    assert headings(parse(comparison_page(tmp_path))) == []


def test_nothing_that_finished_is_a_page_all_the_same(tmp_path):
    folder = made.comparison_folder(tmp_path, names=("knn",), shots=())
    assert headings(parse(comparison_page(folder))) == ["Ranking", "Failed runs", "Method"]


def test_many_names_are_numbered_where_colours_would_run_out(tmp_path):
    folder = made.comparison_folder(tmp_path, names=[f"strategy {n}" for n in range(14)], shots=())
    root = parse(comparison_page(folder))
    assert len(list(root.all("svg"))) == 2


def test_no_comparison_is_an_error_with_a_hint(tmp_path):
    with pytest.raises(OutputError, match=r"there is no `comparison\.json`") as caught:
        comparison_page(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("shots", [(), (3, 10)])
def test_no_text_of_the_file_becomes_markup(tmp_path, shots):
    folder = made.comparison_folder(tmp_path, shots=shots)
    (comparison,) = made.with_markup(json.loads((folder / "comparison.json").read_text()))
    made.write_json(folder, comparison=comparison)
    page = comparison_page(folder)
    root = parse(page)
    assert len(list(root.all("script"))) == 1
    assert not list(root.all("img"))
    assert not [node for node in root.all() for name in node.attributes if name.startswith("on")]
    assert page.count("onerror=alert(1)") > 10
