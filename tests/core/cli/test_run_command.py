"""Runs through the command line: streams, exit codes, files. Not what a run computes."""

import json
import os
import re
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tlf.cli.run import show_result

#: What a terminal gets to move its cursor or change its colours.
ESCAPE = "\x1b"


def test_a_run_ends_with_a_summary_what_to_type_next_and_its_directory(tlf, spec_file, tmp_path):
    code, out, err = tlf("run", spec_file)
    assert code == 0
    assert out.splitlines()[-1] == str(tmp_path / "runs" / "small")
    assert (tmp_path / "runs" / "small" / "report.json").is_file()
    assert re.search(r"^accuracy +\d+\.\d%$", out, re.MULTILINE)
    assert "epoch 2/2" in err
    assert (
        err.splitlines()[-1] == f"next: tlf predict {tmp_path / 'runs' / 'small'} PHOTO_OR_FOLDER"
    )
    assert max(map(len, out.splitlines()[:-1])) <= 80
    assert ESCAPE not in out + err


def test_a_step_that_was_undone_is_marked_in_the_table(finished, capsys):
    first, *rest = finished.report["steps"]
    steps = [{**first, "name": "thaw-1", "selection": {"undone": True}}, *rest]
    show_result(replace(finished, report={**finished.report, "steps": steps}))
    assert re.search(r"^thaw-1 \(undone\) ", capsys.readouterr().out, re.MULTILINE)


def test_what_to_type_next_can_be_typed(finished, capsys):
    show_result(replace(finished, directory=Path("runs/my run")))
    out, err = capsys.readouterr()
    assert err == "next: tlf predict 'runs/my run' PHOTO_OR_FOLDER\n"
    assert out.endswith("\nruns/my run\n")


def test_json_of_a_run_is_its_directory_and_report(tlf, spec_file, tmp_path):
    _, out, _ = tlf("run", spec_file, "--json", "--set", "training.epochs=1")
    found = json.loads(out)
    assert found["directory"] == str(tmp_path / "runs" / "small")
    assert found["report"] == json.loads((tmp_path / "runs" / "small" / "report.json").read_text())


def test_a_spec_may_come_from_standard_input(tlf, small_spec, start_tlf):
    process = start_tlf("spec", "validate", "-", stdin=-1)
    assert process.communicate(json.dumps(small_spec), timeout=60) == ("ok\n", "")


def test_a_data_folder_that_is_not_there_is_said_and_nothing_is_written(tlf, spec_file, tmp_path):
    code, out, err = tlf("run", spec_file, "--set", "data.options.train=nowhere")
    assert (code, out) == (2, "")
    assert "nowhere" in err
    assert "hint: " in err
    assert "Traceback" not in err
    assert not list((tmp_path / "runs").glob("*"))


def test_a_plan_is_printed_in_80_columns_and_writes_nothing(tlf, spec_file, tmp_path):
    code, out, err = tlf("plan", spec_file)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "feature-extraction" in out
    assert not (tmp_path / "runs").exists()


def test_json_of_a_plan_has_its_steps(tlf, spec_file):
    _, out, _ = tlf("plan", spec_file, "--json", "--set", "training.epochs=3")
    assert [step["epochs"] for step in json.loads(out)["steps"]] == [3]


def test_a_probe_adds_seconds_and_memory(tlf, spec_file):
    _, out, _ = tlf("plan", spec_file, "--probe")
    assert re.search(r"about \d+\.\d s +\d+\.\d GB", out)
    measured = json.loads(tlf("plan", spec_file, "--probe", "--json")[1])["measurements"]
    assert measured[0]["seconds_per_batch"] > 0


def test_a_strategy_that_does_not_exist_ends_a_comparison_before_it_begins(
    tlf, spec_file, tmp_path
):
    code, out, err = tlf("compare", spec_file, "--strategies", "full-finetuning")
    assert (code, out) == (2, "")
    assert "did you mean `full-fine-tuning`?" in err
    assert not (tmp_path / "runs").exists()


def test_predictions_are_printed_for_files_and_folders(tlf, finished, photographs):
    photo = photographs / "val" / "red" / "00.png"
    code, out, err = tlf(
        "predict", finished.directory, photo, photographs / "val" / "blue", "--json"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [Path(prediction["source"]).name for prediction in found] == [
        "00.png",
        *(f"{number:02d}.png" for number in range(5)),
    ]
    assert all(list(prediction["probabilities"]) == [prediction["label"]] for prediction in found)
    code, out, _ = tlf("predict", finished.directory, photo, "--top", "2")
    assert re.search(r"(red|blue) \d+\.\d%, *(red|blue) \d+\.\d%", " ".join(out.split()))


def test_a_file_that_is_no_image_is_named_and_the_others_are_classified(
    tlf, finished, photographs, tmp_path
):
    (tmp_path / "notes.txt").write_text("no image")
    photo = photographs / "val" / "red" / "00.png"
    code, out, err = tlf("predict", finished.directory, tmp_path / "notes.txt", photo)
    assert code == 2
    assert "00.png" in "".join(out.split())
    assert f"warning: `{tmp_path / 'notes.txt'}` cannot be read: " in err
    assert "error: 1 of 2 files could not be read" in err


def test_a_folder_that_is_no_run_is_said_so(tlf, tmp_path, photographs):
    code, out, err = tlf("predict", tmp_path, photographs)
    assert (code, out) == (2, "")
    assert "holds no finished run" in err


def begin(start_tlf, *words):
    """Start a run that never ends by itself, and wait until it trains."""
    process = start_tlf("run", *words)
    for line in process.stderr:
        if line.startswith("epoch "):
            return process
    return pytest.fail("the run did not begin")


@pytest.fixture
def endless(start_tlf, spec_file):
    return begin(start_tlf, spec_file, "--set", "training.epochs=100000")


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)],
)
def test_a_run_in_training_saves_its_state_and_says_how_to_go_on(
    endless, start_tlf, tmp_path, number, code
):
    started = time.monotonic()
    endless.send_signal(number)
    out, err = endless.communicate(timeout=60)
    assert time.monotonic() - started < 5
    assert (endless.returncode, out) == (code, "")
    directory = tmp_path / "runs" / "small"
    assert "saving the state of the run (Ctrl-C again leaves at once)" in err
    assert re.search(r"^stopped after \d+ of 100000 epochs$", err, re.MULTILINE)
    assert err.splitlines()[-1] == f"to go on: tlf run --resume {directory}"
    assert "Traceback" not in err
    assert len(list((directory / "checkpoints").iterdir())) == 1

    done = len((directory / "metrics.jsonl").read_text().splitlines())
    again = begin(start_tlf, "--resume", directory)
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=60)
    metrics = (directory / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in metrics] == list(range(1, len(metrics) + 1))
    assert len(metrics) > done


def test_a_second_ctrl_c_leaves_at_once(endless, tmp_path):
    started = time.monotonic()
    endless.send_signal(signal.SIGINT)
    endless.send_signal(signal.SIGINT)
    _, err = endless.communicate(timeout=60)
    assert time.monotonic() - started < 5
    assert endless.returncode == 130
    assert err.splitlines()[-1] == f"to go on: tlf run --resume {tmp_path / 'runs' / 'small'}"
    assert "Traceback" not in err


def test_a_killed_run_goes_on_and_prints_its_result(tlf, spec_file, tmp_path):
    directory = tmp_path / "killed"
    code, out, err = tlf("run", spec_file, "--output-directory", directory)
    assert (code, out.splitlines()[-1]) == (0, str(directory))
    (directory / "report.json").unlink()

    code, out, err = tlf("run", "--resume", directory)
    assert (code, out.splitlines()[-1]) == (0, str(directory))
    assert (directory / "report.json").is_file()
    code, out, err = tlf("run", "--resume", directory, "--json")
    assert json.loads(out)["directory"] == str(directory)

    code, out, err = tlf("run", spec_file, "--resume", directory, "--set", "seed=5")
    assert (code, out) == (2, "")
    assert "seed: nothing then, `5` now" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "missing argument `SPEC`"),
        (["--resume", "x", "--output-directory", "y"], "exclude each other"),
        (["--resume", "nowhere"], "`nowhere` does not exist"),
    ],
)
def test_what_cannot_be_gone_on_with_is_a_usage_error(tlf, words, message):
    code, out, err = tlf("run", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert "hint: " in err


def test_ctrl_c_before_training_leaves_nothing(start_tlf, spec_file, tmp_path):
    process = start_tlf("run", spec_file, "--set", "training.epochs=100000")
    assert "feature-extraction of" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in err
    assert "Traceback" not in err
    left = [path for path in (tmp_path / "runs").glob("*") if path.name != "small"]
    assert left == []


def test_a_terminal_shows_a_live_line_and_a_pipe_does_not(start_tlf, spec_file):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = start_tlf("run", spec_file, "--set", "training.epochs=1", stderr=theirs)
    os.close(theirs)
    seen = []

    def read():
        try:
            while chunk := os.read(ours, 4096):
                seen.append(chunk)
        except OSError:  # Linux says so when the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    out, _ = process.communicate(timeout=60)
    reader.join()
    os.close(ours)
    assert b"images/s" in b"".join(seen)
    assert b"\x1b[?25h" in b"".join(seen)
    assert ESCAPE not in out
