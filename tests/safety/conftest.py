"""A command line in a process whose deeds are noted, and a finished run to spoil."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import tlf
from tests.safety.audited import DEEDS
from tests.small import spec_of
from tlf.cli import main

AUDITED = Path(__file__).with_name("audited.py")


@dataclass(frozen=True)
class Audit:
    """What a command line did.

    Attributes:
        done: The process.
        deeds: Programs started, addresses reached, objects made from files: event and what it said.
        changed: Paths that were written, made, renamed or removed.
    """

    done: subprocess.CompletedProcess
    deeds: list[list[str]]
    changed: set[str]

    @property
    def result(self):
        """The last line of standard output: a directory."""
        assert self.done.returncode == 0, self.done.stderr
        return Path(self.done.stdout.splitlines()[-1])


@pytest.fixture
def home(tmp_path):
    """What the user has apart from what tlf may write to."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def temporary(tmp_path):
    """The system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def audit(tmp_path, home, temporary):
    """Carry out a command line, and return what it did."""

    def audit(*words, path=None):
        notes = tmp_path / "notes"
        notes.unlink(missing_ok=True)
        paths = os.pathsep.join(filter(None, (path and str(path), os.environ.get("PYTHONPATH"))))
        own = {"PYTHONPATH": paths, "HOME": home, "TMPDIR": temporary, "PYTHONDONTWRITEBYTECODE": 1}
        unwanted = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")
        kept = {name: value for name, value in os.environ.items() if name not in unwanted}
        done = subprocess.run(
            [sys.executable, "-P", AUDITED, notes, *map(str, words)],
            env={**kept, **{name: str(value) for name, value in own.items()}},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        events = [json.loads(line) for line in notes.read_text().splitlines()]
        return Audit(
            done,
            [one for one in events if one[0] in DEEDS],
            {one[1] for one in events if one[0] not in DEEDS},
        )

    return audit


@pytest.fixture(scope="session")
def finished(photographs, tmp_path_factory):
    """The directory of a finished run."""
    output = tmp_path_factory.mktemp("finished")
    spec = spec_of(
        photographs,
        backbone={"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"},
        device="auto",
        cache={"mode": "off"},
        output=str(output),
    )
    return tlf.run(spec).directory


@pytest.fixture
def own_run(finished, tmp_path):
    """A finished run that a test may change."""
    return shutil.copytree(finished, tmp_path / "own run")


@pytest.fixture
def command(capsys):
    """Carry out a command line in this process: exit code, standard output, standard error."""

    def command(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return command
