"""The observer `csv`: the run's own numbers as a table."""

import csv
import json

import pytest

import tlf
from tests.small import Dies


def table(run, name="metrics.csv", delimiter=","):
    with (run.directory / name).open(newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_each_epoch_is_a_row_with_what_the_files_of_the_run_say(small_spec):
    run = tlf.run({**small_spec, "observers": ["csv"]})
    rows = table(run)
    written = (run.directory / "metrics.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in written]
    assert [(int(row["epoch"]), row["step"]) for row in rows] == [(1, "head"), (2, "head")]
    for row, line in zip(rows, lines, strict=True):
        assert float(row["train_loss"]) == line["train"]["loss"]
        assert float(row["validation_accuracy"]) == line["validation"]["accuracy"]
        assert float(row["images_per_second"]) > 0
    assert not any(name.startswith("selection") for name in rows[0])


def test_a_step_without_epochs_is_a_row_with_no_training_loss(small_spec):
    rows = table(tlf.run({**small_spec, "observers": ["csv"], "strategy": "lp-ft"}))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [bool(row["train_loss"]) for row in rows] == [False, True, True]
    assert all(row["validation_loss"] for row in rows)
    # The strength of the probe is chosen, and no epoch is.
    assert not any(name.startswith("selection") for name in rows[0])


def test_a_run_that_chooses_has_the_columns_of_what_it_chooses_on(small_spec):
    options = {"advance": "on-plateau"}
    strategy = {"name": "gradual-unfreezing", "options": options}
    rows = table(tlf.run({**small_spec, "observers": ["csv"], "strategy": strategy}))
    assert all(0 <= float(row["selection_accuracy"]) <= 1 for row in rows)


def test_the_file_and_its_delimiter_are_options(small_spec):
    observer = {"name": "csv", "options": {"file": "table.csv", "delimiter": ";"}}
    run = tlf.run({**small_spec, "observers": [observer]})
    assert len(table(run, "table.csv", ";")) == 2


@pytest.mark.parametrize("file", ["../up.csv", "a/b.csv", ".hidden.csv", "table", "a b.csv"])
def test_a_file_anywhere_else_is_refused(file, small_spec):
    observer = {"name": "csv", "options": {"file": file}}
    with pytest.raises(tlf.TlfError, match=r"observers\.0\.options\.file"):
        tlf.plan({**small_spec, "observers": [observer]})


def test_two_tables_of_one_name_are_not_mixed(small_spec):
    warnings = []

    class Listening(tlf.Listener):
        def warning(self, message):
            warnings.append(message)

    run = tlf.run({**small_spec, "observers": ["csv", "csv"]}, listener=Listening())
    assert len(table(run)) == 2
    (warning,) = warnings
    assert "`csv` (tlf" in warning
    assert "FileExistsError" in warning


@pytest.mark.parametrize(
    "strategy", ["feature-extraction", pytest.param("lp-ft", marks=pytest.mark.slow)]
)
def test_a_run_that_goes_on_has_each_row_once(small_spec, tmp_path, strategy):
    spec = {
        **small_spec,
        "observers": ["csv"],
        "strategy": strategy,
        "training": {"epochs": 3, "batch_size": 8},
        "checkpoint": {"every_seconds": 1e-9},
    }
    whole = tlf.run(spec)
    with pytest.raises(tlf.TlfError):
        tlf.run(spec, output_directory=tmp_path / "run", listener=Dies(5))
    with (tmp_path / "run" / "metrics.csv").open("a") as file:
        # As if an epoch after the checkpoint had been told, and half of another.
        file.write("9,head,0.1\n9,he")
    resumed = tlf.resume(tmp_path / "run")
    timings = ("train_seconds", "data_seconds", "prefix_seconds", "images_per_second")
    expected, found = (
        [{name: value for name, value in row.items() if name not in timings} for row in table(run)]
        for run in (whole, resumed)
    )
    assert found == expected
