"""`tlf report`."""

import json
import shutil

import pytest


@pytest.fixture
def own_run(finished, tmp_path):
    """A finished run that a test may change."""
    return shutil.copytree(finished.directory, tmp_path / "own run")


def test_it_prints_what_it_found_and_the_page_last(tlf, own_run):
    code, out, err = tlf("report", own_run)
    assert code == 0
    page = own_run / "report.html"
    assert out.splitlines()[-1] == str(page)
    assert "10 validation" in out
    assert "looking at the run's images once more" in err
    assert page.read_text().lstrip().lower().startswith("<!doctype html")
    assert json.loads((own_run / "analysis.json").read_text())["disagreements"] == 0


def test_as_json_it_names_its_files(tlf, own_run):
    code, out, _ = tlf("report", own_run, "--json")
    assert (code, json.loads(out)) == (
        0,
        {"page": str(own_run / "report.html"), "analysis": str(own_run / "analysis.json")},
    )


@pytest.fixture
def comparison(tmp_path, monkeypatch):
    monkeypatch.setattr("tlf.report.comparison_page", lambda folder: f"page of {folder.name}")
    folder = tmp_path / "them"
    folder.mkdir()
    (folder / "comparison.json").write_text("{}")
    return folder


def test_a_comparison_has_a_page_and_no_analysis(tlf, comparison):
    code, out, err = tlf("report", comparison)
    assert (code, out, err) == (0, f"{comparison / 'report.html'}\n", "")
    assert (comparison / "report.html").read_text() == "page of them"
    assert json.loads(tlf("report", comparison, "--json")[1])["analysis"] is None


def test_open_shows_the_page_in_a_browser(tlf, comparison, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    code, _, err = tlf("report", comparison, "--open")
    assert (code, err) == (0, "")
    assert opened == [(comparison / "report.html").as_uri()]


def test_without_a_browser_the_page_is_there_all_the_same(tlf, comparison, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    code, out, err = tlf("report", comparison, "--open")
    assert (code, out.splitlines()[-1]) == (0, str(comparison / "report.html"))
    assert err == "warning: no browser could be started\n"


@pytest.mark.parametrize("what", ["empty", "missing"])
def test_a_directory_of_neither_is_an_error_with_a_hint(tlf, tmp_path, what):
    folder = tmp_path / what
    if what == "empty":
        folder.mkdir()
    code, out, err = tlf("report", folder)
    assert (code, out) == (2, "")
    assert "holds neither a finished run nor a comparison" in err
    assert "hint: give the path that `tlf run` or `tlf compare` printed last" in err


def test_the_summary_names_the_surest_mistake_the_temperature_and_what_moved_most():
    from tlf.cli.report import _found

    error = "expected_calibration_error"
    mistake = {"id": "a.jpg", "label": "ants", "predicted": "bees", "probability": 0.9}
    found = _found(
        {
            "metrics_on": "test",
            "data": {"test": {"images": 1000}},
            "mistakes": [mistake],
            "temperature": {"value": 1.234, "before": {error: 0.1}, "after": {error: 0.02}},
            "movement": [
                {"stage": "low", "relative_change": 0.0},
                {"stage": "high", "relative_change": 0.05},
                {"stage": "new", "relative_change": None},
            ],
            "seconds": {"predict": 1.5, "attribution": 2.0},
        }
    )
    assert found == {
        "images": "1,000 test",
        "surest mistake": "a.jpg: bees 90.0%, is ants",
        "temperature": "1.23, which brings the calibration error from 10.0% to 2.0%",
        "moved most": "high, by 5.0%",
        "took": "3.5 s",
    }
