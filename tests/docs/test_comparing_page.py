"""The page on comparing: its comparisons are valid, its keys are those of the file, its code runs."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

import tlf
from tlf.cli import main
from tlf.engine.comparing.cells import Cell
from tlf.engine.comparing.grid import Axis, make_grid
from tlf.engine.comparing.judging import Difference, Row
from tlf.registry import load_registry
from tlf.spec import load_raw
from tlf.spec.comparison import check_comparison

TEXT = (Path(__file__).parents[2] / "docs" / "comparing.md").read_text(encoding="utf-8")


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def rows_of_table(heading):
    """The first cells of the table that begins with this heading, and the others."""
    table = TEXT.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [re.findall(r"(?<=\| )(.+?)(?= \|)", line) for line in table.splitlines()[2:]]


@pytest.fixture
def place(tmp_path, monkeypatch, small_spec):
    monkeypatch.chdir(tmp_path)
    small = {**small_spec, "output": "runs"}
    small["training"] = {**small["training"], "epochs": 1}
    Path("spec.json").write_text(json.dumps(small))
    return tmp_path


def test_a_comparison_on_the_page_is_valid(place):
    blocks = [block for block in fenced("json") if '"grid"' in block]
    assert blocks
    for block in blocks:
        Path("compare.json").write_text(block)
        found = check_comparison(load_raw("compare.json"))
        axes = [Axis(path, tuple(values)) for path, values in found.grid.items()]
        grid = make_grid(load_raw("spec.json"), axes, found.seeds, load_registry())
        assert len(list(grid.cells())) == 24


def test_every_option_is_on_the_page(capsys):
    main(["compare", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {
        "--help",
        "--output-directory",
    }
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", TEXT, re.MULTILINE))


def test_the_keys_on_the_page_are_those_of_the_file(place):
    found = tlf.compare("spec.json", ["feature-extraction", "from-scratch"])
    written = json.loads((found.directory / "comparison.json").read_text())
    table = dict(rows_of_table("key"))
    named = [key for cell in table for key in re.findall(r"`(\w+)`", cell)]
    assert named == list(written)
    for key, kind in (("rows", Row), ("differences", Difference)):
        words = set(re.findall(r"`(\w+)`", table[f"`{key}`"]))
        assert {one.name for one in dataclasses.fields(kind)} <= words, key
    assert set(re.findall(r"`(\w+)`", table["`runs`"])) - {"row", "group"} <= {
        one.name for one in dataclasses.fields(Cell)
    }
    files = {path.name for path in found.directory.iterdir() if path.is_file()}
    assert files == set(re.findall(r"^ {8}([a-z]+\.[a-z]+) ", TEXT, re.MULTILINE))


def test_the_python_on_the_page_runs(place, capsys):
    (code,) = fenced("python")
    exec(compile(code, "docs/comparing.md", "exec"), {})
    assert "feature-extraction" in capsys.readouterr().out
