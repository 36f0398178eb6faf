"""`tlf compare` on the command line."""

import io
import json
import os
import re
import signal
from pathlib import Path

import pytest

STRATEGIES = ("--strategies", "feature-extraction,from-scratch")
ONE_EPOCH = ("--set", "training.epochs=1")


def test_it_ends_with_a_ranked_table_advice_and_its_directory(tlf, spec_file, tmp_path):
    code, out, err = tlf("compare", spec_file, *STRATEGIES, *ONE_EPOCH, "--seeds", "2")
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == str(tmp_path / "runs" / "small-comparison")
    heading = lines[0].split()
    assert heading == ["acc.", "95%", "interval", "time", "images", "memory", "trained"]
    rows = [line.split() for line in lines[2:4]]
    assert {row[1] for row in rows} == {"feature-extraction", "from-scratch"}
    assert [row[0] for row in rows] in (["1", "1"], ["1", "2"])
    assert re.search(r"balanced-accuracy +macro-f1", out)
    assert "accuracy on 10 validation images, mean of 2 seeds" in " ".join(out.split())
    assert "`feature-extraction`" in out
    assert max(map(len, lines[:-1])) <= 80
    assert re.findall(r"^\[(\d)/4\] ([a-z-]+), seed (\d): accuracy \d", err, re.MULTILINE) == [
        ("1", "feature-extraction", "0"),
        ("2", "from-scratch", "0"),
        ("3", "feature-extraction", "1"),
        ("4", "from-scratch", "1"),
    ]


def test_json_holds_what_the_file_holds(tlf, spec_file):
    code, out, _ = tlf("compare", spec_file, *STRATEGIES, *ONE_EPOCH, "--json")
    assert code == 0
    found = json.loads(out)
    directory = Path(found.pop("directory"))
    assert found == json.loads((directory / "comparison.json").read_text())


def test_a_learning_curve_has_a_table_for_each_number_of_labels(tlf, spec_file):
    code, out, _ = tlf("compare", spec_file, *ONE_EPOCH, "--shots", "2, 8")
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("shots")] == ["shots 2", "shots 8"]
    assert "from 2 to 8 shots `feature-extraction` gains" in " ".join(out.split())


def test_a_comparison_goes_on_where_it_was(tlf, spec_file, tmp_path):
    tlf("compare", spec_file, *STRATEGIES, *ONE_EPOCH)
    folder = tmp_path / "runs" / "small-comparison"
    code, out, err = tlf(
        "compare", spec_file, *STRATEGIES, *ONE_EPOCH, "--seeds", "2", "--resume", folder
    )
    assert code == 0
    assert "[4/4] from-scratch, seed 1" in err
    assert len(list(folder.glob("*/report.json"))) == 4
    assert out.splitlines()[-1] == str(folder)


@pytest.mark.slow
def test_runs_at_once_are_shown_as_they_end(tlf, spec_file):
    code, _, err = tlf("compare", spec_file, *STRATEGIES, *ONE_EPOCH, "--jobs", "2")
    assert code == 0
    assert "[1/2] feature-extraction, seed 0: accuracy" in err
    assert "[2/2] from-scratch, seed 0: accuracy" in err


def test_the_spec_may_come_from_standard_input(tlf, spec_file, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(spec_file.read_text()))
    code, out, _ = tlf("compare", "-", *STRATEGIES, *ONE_EPOCH)
    assert code == 0
    assert "from-scratch" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--time-limit", "soon"), "`soon` is no time; write `90s`, `30m` or `2h`"),
        (("--time-limit", "0m"), "`0m` is no time"),
        (("--shots", "5,many"), "`many` is no number of images; write `5,10,20`"),
        (("--shots", "0"), "`0` is no number of images"),
        (("--resume", "x", "--output-directory", "y"), "it says already where the results are"),
        (("--jobs", "0"), "should be greater than or equal to 1"),
        ((), "there is nothing to compare"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(tlf, spec_file, words, message):
    code, out, err = tlf("compare", spec_file, *words)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("45", 45)])
def test_a_time_is_read_with_its_unit(text, seconds):
    from tlf.cli.compare import _seconds

    assert _seconds(text) == seconds


def test_a_time_that_is_over_is_said_with_how_to_go_on(tlf, spec_file):
    code, out, _ = tlf("compare", spec_file, *STRATEGIES, *ONE_EPOCH, "--time-limit", "0.001s")
    assert code == 0
    assert "2 of 2 runs are not there yet; `--resume` carries them out" in out


def test_a_comparisons_own_spec_is_told_what_is_wrong_with_it(tlf, spec_file, tmp_path):
    path = tmp_path / "compare.json"
    path.write_text(json.dumps({"base": "spec.json", "gird": {"strategy": []}, "seeds": 0}))
    code, _, err = tlf("compare", path)
    assert code == 2
    for words in ("gird", "did you mean `grid`?", "seeds: must be at least 1"):
        assert words in err


def test_a_run_that_fails_is_a_row_and_the_command_ends_with_1(tlf, spec_file):
    too_fast = [
        f"training.{field}"
        for field in ("learning_rate=100", "clip_norm=null", "optimizer=sgd", "warmup=0")
    ]
    changes = [word for change in too_fast for word in ("--set", change)]
    code, out, err = tlf("compare", spec_file, *STRATEGIES, *changes)
    assert code == 1
    assert "failed: from-scratch, seed 0: " in err
    assert "1 of 2 runs failed" in err
    assert re.search(r"^– +from-scratch +– +– ", out, re.MULTILINE)
    assert "the only one that has finished" in " ".join(out.split())


@pytest.mark.slow
def test_ctrl_c_keeps_the_runs_that_are_done(start_tlf, spec_file, tmp_path):
    process = start_tlf("compare", spec_file, *STRATEGIES, *ONE_EPOCH, "--seeds", "500")
    assert "[1/1000]" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "`--resume` goes on there" in err
    folder = tmp_path / "runs" / "small-comparison"
    written = json.loads((folder / "comparison.json").read_text())
    assert sum(row["not_run"] for row in written["rows"]) < 1000


@pytest.mark.slow
def test_ctrl_c_ends_the_processes_too(start_tlf, spec_file, tmp_path):
    process = start_tlf(
        "compare", spec_file, *STRATEGIES, *ONE_EPOCH, "--seeds", "500", "--jobs", "2"
    )
    assert "[1/1000]" in process.stderr.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "`--resume` goes on there" in err
    assert "Traceback" not in err
    # Nobody is left who writes: what they hold open ends with them, so `communicate` waited for them.
    assert not [
        pid
        for pid in workers
        if Path(f"/proc/{pid}/cmdline").exists()
        and b"comparing.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


@pytest.mark.slow
def test_a_terminal_shows_a_table_while_it_goes(start_tlf, spec_file):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = start_tlf("compare", spec_file, *STRATEGIES, *ONE_EPOCH, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # Linux says so when the other end is closed
        pass
    out, _ = process.communicate(timeout=120)
    os.close(ours)
    assert process.returncode == 0
    shown = seen.decode()
    assert "accuracy so far" in shown
    assert "1 of 2 runs" in shown
    assert "epoch 1 of 1" in shown
    assert "95% interval" in out
    assert "so far" not in out
