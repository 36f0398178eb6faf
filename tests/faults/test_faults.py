"""Runs survive being killed at any place, and any write that fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.places import PLACES
from tests.faults.specs import STRATEGIES
from tlf.registry import load_registry

ROOT = Path(__file__).parents[2]


def faults(*words: str, seconds: int) -> str:
    """Carry out `python -m tests.faults` in a process without threads, and return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_builtin_strategy_is_killed() -> None:
    assert set(STRATEGIES) == {
        entry.declaration.name
        for entry in load_registry().entries("strategy")
        if entry.plugin.distribution == "tlf"
    }


def test_runs_that_are_killed_at_each_place_end_with_the_same_bytes() -> None:
    table = faults("gradual-unfreezing", "--least", "1", seconds=120)
    assert all(place in table for place in PLACES)
    assert table.splitlines()[-1].endswith("0 failures")


@pytest.mark.slow
def test_writes_that_fail_lose_nothing() -> None:
    said = faults("full-fine-tuning", "--writes", "75", "--sizes", "2", seconds=120)
    assert "0 failures" in said


@pytest.mark.slow
def test_runs_of_every_strategy_that_are_killed_at_each_place_end_with_the_same_bytes() -> None:
    table = faults("--least", "5", seconds=1500)
    assert table.splitlines()[-1].endswith("0 failures")


@pytest.mark.slow
def test_any_write_that_fails_loses_nothing() -> None:
    said = faults("full-fine-tuning", "robust", "--writes", "1", seconds=1500)
    assert said.count("0 failures") == 2


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
def test_other_moments_are_as_good(seed: int) -> None:
    names = ("full-fine-tuning", "surgical", "robust")
    table = faults(*names, "--least", "8", "--seed", str(seed), seconds=900)
    assert table.splitlines()[-1].endswith("0 failures")
