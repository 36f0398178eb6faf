"""A run that waits for an image that never comes says so, can be stopped, and ends."""

import json
import os
import signal
import subprocess
import sys

import pytest

#: `tlf`, where one image is behind a network share that is dead: nothing ever comes.
TLF = """
import os, sys
from pathlib import Path
from tlf.data import patience
from tlf.cli import main
from tlf.engine import costs
patience.LOOK_SECONDS = 0.02
patience.SLOW_SECONDS = costs.PATIENT_SECONDS = 0.1
silent, _writer = os.pipe()
read_bytes = Path.read_bytes
def read(path):
    return os.read(silent, 1) if path.name == "03.png" else read_bytes(path)
Path.read_bytes = read
sys.exit(main())
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent there")


@pytest.fixture
def blocked(small_spec, tmp_path):
    """Return a function: `tlf run` on images of which some block, with how long it waits for them."""

    def start(timeout_seconds, workers):
        small_spec["data"]["timeout_seconds"] = timeout_seconds
        small_spec["training"]["workers"] = workers
        (tmp_path / "spec.json").write_text(json.dumps(small_spec))
        return subprocess.Popen(
            [sys.executable, "-c", TLF, "run", str(tmp_path / "spec.json")],
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.mark.slow
def test_the_run_ends_and_names_the_image(blocked, tmp_path):
    with blocked(1.0, workers=0) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "warning: still reading `train/blue/03.png` after 0.1 s\n" in err
    assert "error: `train/blue/03.png` is still being read after 1 s\n" in err
    assert "hint: " in err
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.slow
def test_ctrl_c_ends_it_at_once(blocked):
    with blocked(None, workers=2) as process:
        assert any("still reading" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped before training; nothing was written" in err
