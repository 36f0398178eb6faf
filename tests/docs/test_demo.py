"""`make demo`, with less to do; `make test-all` runs it as it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STRATEGIES = ["feature-extraction", "gradual-unfreezing", "full-fine-tuning", "from-scratch"]


def demo(folder, *words):
    script = str(ROOT / "examples" / "digits" / "demo.py")
    done = subprocess.run(
        [sys.executable, script, "--output", str(folder / "demo"), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_make_demo_runs_the_script():
    assert "\n\t$(BIN)/python examples/digits/demo.py\n" in (ROOT / "Makefile").read_text()


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """What two demos in one folder print, with as little to do as can be."""
    folder = tmp_path_factory.mktemp("demo")
    return [demo(folder, "--epochs", "1", "--seeds", "1") for _ in range(2)]


def test_the_demo_ends_with_a_table_and_the_path_of_a_report(twice):
    lines = twice[0]
    assert max(map(len, lines)) <= 80
    start = next(number for number, line in enumerate(lines) if line.startswith("strategy "))
    assert [line.split()[0] for line in lines[start + 2 : start + 6]] == STRATEGIES
    report = json.loads(Path(lines[-1]).read_text())
    assert [row["strategy"] for row in report["rows"]] == STRATEGIES
    assert report["test_images"] == 768
    for row in (*report["rows"], *report["from_scratch_tried"]):
        assert (Path(row["directories"][0]) / "report.json").is_file()


def test_the_rate_of_the_control_is_chosen_by_what_is_not_reported(twice):
    report = json.loads(Path(twice[0][-1]).read_text())
    tried = report["from_scratch_tried"]
    assert report["rows"][-1] == max(tried, key=lambda row: row["selection"][0])
    assert {row["epochs"] for row in tried} == {5}
    assert len({row["learning_rate"] for row in tried}) == 3


def test_a_second_demo_overwrites_nothing_and_finds_the_same(twice):
    first, second = (Path(lines[-1]) for lines in twice)
    assert second.name == "report-2.json"
    accuracies = [
        [row["accuracies"] for row in json.loads(path.read_text())["rows"]]
        for path in (first, second)
    ]
    assert accuracies[0] == accuracies[1]


@pytest.mark.slow
def test_pretrained_weights_are_better_than_none_by_far(tmp_path):
    report = json.loads(Path(demo(tmp_path)[-1]).read_text())
    accuracy = {
        row["strategy"]: sum(row["accuracies"]) / len(row["accuracies"]) for row in report["rows"]
    }
    control = accuracy.pop("from-scratch")
    assert min(accuracy.values()) > control + 0.04
    assert max(accuracy.values()) > 0.92
