import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tlf.cli.progress import ProgressListener

PLAN = SimpleNamespace(
    strategy={"name": "full-fine-tuning"},
    backbone={"name": "torchvision/mobilenet_v2"},
    data={"images": {"train": 24, "validation": 10}},
    classes=("red", "blue"),
    device={"reason": "2 threads, float32"},
    epochs=2,
    batches_per_epoch=3,
)
STEP = SimpleNamespace(
    name="all", kind="train", epochs=2, trainable_parameters=2_000, frozen_parameters=0
)


@pytest.fixture(autouse=True)
def _no_wish_about_colour(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def train(listener):
    """Tell a listener of a run of two epochs."""
    listener.planned(PLAN)
    listener.loading(17, 34)
    listener.loading(34, 34)
    listener.directory(Path("runs/small"))
    listener.step_started(STEP)
    for epoch in (1, 2):
        for _ in range(3):
            listener.batch_finished(epoch, 8, 0.5)
        listener.epoch_finished(
            {
                "epoch": epoch,
                "step": "all",
                "train": {"loss": 0.5},
                "validation": {"loss": 0.25, "accuracy": 0.9},
            }
        )
    listener.warning("something is odd")
    listener.close()


def shown(*, terminal, columns=80, kept=None):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=columns, highlight=False)
    train(ProgressListener(console, kept=[] if kept is None else kept))
    return stream.getvalue()


def test_in_a_pipe_there_is_a_plain_line_for_each_event():
    lines = shown(terminal=False).splitlines()
    assert lines[:5] == [
        "full-fine-tuning of torchvision/mobilenet_v2",
        "24 train, 10 validation images of 2 classes",
        "2 threads, float32",
        "read 34 images",
        "step all, 2 epochs: 2,000 parameters learn, 0 are frozen",
    ]
    assert re.fullmatch(
        r"epoch 1/2 · loss 0\.500 · validation 0\.250 · accuracy 90\.0% · "
        r"\d+ images/s · \d+:\d\d left",
        lines[5],
    )
    assert lines[6].startswith("epoch 2/2")
    assert lines[7:] == ["warning: something is odd"]


def test_with_no_color_a_terminal_gets_the_lines_of_a_pipe(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(terminal=True)
    assert "epoch 2/2 · loss" in shown(terminal=True)


def test_a_dumb_terminal_gets_the_lines_of_a_pipe(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "epoch 2/2 · loss" in shown(terminal=True)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_live_line_shows_everything_on_a_narrow_terminal_too(columns):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(terminal=True, columns=columns))
    words = " ".join(text.split())
    for fact in ("all 2/2", "loss 0.500", "accuracy 90.0%", "images/s", "0:00 left"):
        assert fact in words, fact
    bars = [line for line in text.splitlines() if "━" in line]
    assert bars
    assert max(map(len, bars)) <= columns


def test_a_live_line_is_taken_away_and_the_cursor_given_back():
    assert shown(terminal=True).rindex("\x1b[?25h") > shown(terminal=True).rindex("\x1b[?25l")


def test_what_a_stop_would_leave_is_known_once_the_directory_is_there():
    kept = []
    shown(terminal=False, kept=kept)
    assert kept == ["to go on: tlf run --resume runs/small"]


@pytest.mark.parametrize(
    ("method", "chosen", "words"), [("lbfgs", 0.01, "strength 0.01"), ("knn", 10, "neighbours 10")]
)
def test_a_head_that_is_solved_for_is_said_with_what_was_chosen(method, chosen, words):
    stream = io.StringIO()
    listener = ProgressListener(Console(file=stream, width=80, highlight=False), kept=[])
    listener.planned(PLAN)
    listener.step_started(SimpleNamespace(name="head", kind=method, epochs=0))
    solved = {"method": method, "chosen": chosen}
    listener.step_settled({"solved": solved, "validation": {"loss": 0.25, "accuracy": 0.9}})
    listener.close()
    assert stream.getvalue().splitlines()[-2:] == [
        f"step head: the head is solved for on frozen features ({method})",
        f"{words} · accuracy 90.0%",
    ]


def test_an_average_and_what_the_run_chooses_are_said():
    stream = io.StringIO()
    listener = ProgressListener(Console(file=stream, width=80, highlight=False), kept=[])
    listener.chosen("step all trains features.3")
    combined = {"snapshots": ["probe", "all"], "shares": [2 / 3, 1 / 3]}
    listener.step_settled({"combined": combined, "validation": {"loss": 0.25, "accuracy": 0.9}})
    assert stream.getvalue().splitlines() == [
        "step all trains features.3",
        "0.667 of probe, 0.333 of all · accuracy 90.0%",
    ]
