"""Writing pages beside what they are made of."""

import json

import pytest

import tlf
from tlf.engine.pages import write_page
from tlf.errors import OutputError

pytestmark = pytest.mark.usefixtures("with_pages")


@pytest.fixture
def pages(monkeypatch):
    """Pages that say what they are of."""
    monkeypatch.setattr("tlf.report.run_page", lambda folder: f"run {folder.name}")
    monkeypatch.setattr("tlf.report.comparison_page", lambda folder: f"comparison {folder.name}")


@pytest.mark.parametrize(
    ("file", "said"), [("report.json", "run it"), ("comparison.json", "comparison it")]
)
def test_a_page_lies_beside_what_it_is_made_of_and_replaces_the_last_one(
    pages, tmp_path, file, said
):
    folder = tmp_path / "it"
    folder.mkdir()
    (folder / file).write_text("{}")
    (folder / "report.html").write_text("old")
    assert write_page(folder) == folder / "report.html"
    assert (folder / "report.html").read_text() == said
    assert {path.name for path in folder.iterdir()} == {file, "report.html"}


def test_a_directory_of_neither_is_refused(tmp_path):
    with pytest.raises(OutputError, match="neither a finished run nor a comparison") as caught:
        tlf.write_report(tmp_path)
    assert "tlf run" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_comparison_is_not_analysed(pages, monkeypatch, tmp_path):
    (tmp_path / "comparison.json").write_text("{}")
    monkeypatch.setattr("tlf.engine.analysis.analyse", None)
    assert tlf.write_report(str(tmp_path)).read_text() == f"comparison {tmp_path.name}"


def test_a_run_ends_with_a_page(small_spec):
    finished = tlf.run({**small_spec, "training": {"epochs": 1}})
    page = (finished.directory / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html")


def test_a_page_that_cannot_be_written_is_a_warning_and_fails_no_run(small_spec, monkeypatch):
    def broken(folder):
        raise ZeroDivisionError("no\nink")

    monkeypatch.setattr("tlf.report.run_page", broken)
    said = []

    class Hears(tlf.Listener):
        def warning(self, message):
            said.append(message)

    finished = tlf.run({**small_spec, "training": {"epochs": 1}}, listener=Hears())
    assert said == ["`report.html` could not be written: ZeroDivisionError: no ink"]
    assert said[0] in (finished.directory / "log.txt").read_text().splitlines()[-1]
    assert json.loads((finished.directory / "report.json").read_text()) == finished.report
    assert not (finished.directory / "report.html").exists()


def test_the_report_is_on_the_disk_before_the_page_is_begun(small_spec, monkeypatch):
    written = []

    def look(folder):
        written.append((folder / "report.json").read_text())
        return ""

    monkeypatch.setattr("tlf.report.run_page", look)
    finished = tlf.run({**small_spec, "training": {"epochs": 1}})
    assert [json.loads(text) for text in written] == [finished.report]


@pytest.mark.parametrize(
    "content", ['{"metrics": [1]}', '{"steps": 3, "metrics": {"accuracy": "high"}}', "[" * 100_000]
)
def test_a_page_of_files_that_hold_something_else_is_refused_in_words(tmp_path, content):
    for name in ("report.json", "comparison.json"):
        (tmp_path / name).write_text(
            content.replace("metrics", "rows") if name[0] == "c" else content
        )
        with pytest.raises(OutputError, match=r"are not what tlf writes|cannot be read"):
            write_page(tmp_path)
