"""A process that runs for long holds no more than at first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.faults.soak import MORE_BYTES, WARM, grown
from tests.faults.test_faults import ROOT


def test_what_grows_is_found() -> None:
    flat = [(100_000_000, 10, 3)] * (WARM + 20)
    assert grown(flat) is None
    assert grown([*flat, (100_000_001 + MORE_BYTES, 10, 3)]) is not None
    assert grown([*flat, (100_000_000, 11, 3)]) == "open files: 10 to 11"
    assert grown([*flat, (100_000_000, 10, 4)]) == "threads: 3 to 4"


@pytest.mark.slow
def test_memory_and_open_files_stay_flat() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
