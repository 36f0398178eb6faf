"""The command line, in this process and in one of its own; a plugin that is broken; a real run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tlf.cli import main
from tlf.registry import load_registry

TLF = str(Path(sys.executable).with_name("tlf"))

#: What makes output depend on who looks at it.
CHANGING_OUTPUT = (
    "COLUMNS",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "NO_COLOR",
    "PY_COLORS",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
)

SPLITS = {"train": "train", "validation": "val"}


@pytest.fixture
def tlf(capsys, monkeypatch):
    """Carry out a command line in this process: `(exit code, standard output, standard error)`."""
    for name in CHANGING_OUTPUT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def carry_out(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return carry_out


def environment(**changes):
    plain = {name: value for name, value in os.environ.items() if name not in CHANGING_OUTPUT}
    return {**plain, "COLUMNS": "80", **changes}


@pytest.fixture
def tlf_process():
    """Carry out a command line in a process of its own."""

    def carry_out(*words, **changes):
        return subprocess.run(
            [TLF, *map(str, words)],
            env=environment(**changes),
            capture_output=True,
            check=False,
            timeout=120,
        )

    return carry_out


@pytest.fixture
def start_tlf():
    """Start a command line in a process of its own, and end it with the test."""
    processes = []

    def start(*words, **options):
        processes.append(
            subprocess.Popen(
                [TLF, *map(str, words)],
                env=environment(PYTHONUNBUFFERED="1"),
                text=True,
                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a plugin's module, with an entry point, where this process and its children look."""
    site = tmp_path / "site"
    written = []

    def write(name, source, group="tlf.v1"):
        about = site / f"tlf_{name}-1.2.3.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: tlf-{name}\nVersion: 1.2.3\n"
        )
        (about / "entry_points.txt").write_text(f"[{group}]\n{name} = tlf_{name}\n")
        (site / f"tlf_{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site))
        written.append(f"tlf_{name}")
        load_registry.cache_clear()

    yield write
    # Another test's plugin may have the same name.
    for module in written:
        sys.modules.pop(module, None)
    load_registry.cache_clear()


@pytest.fixture
def spec_file(small_spec, tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(small_spec))
    return path


@pytest.fixture(scope="session")
def finished(photographs, tmp_path_factory):
    """A finished run."""
    from tlf import run

    folder = {name: str(photographs / path) for name, path in SPLITS.items()}
    return run(
        {
            "name": "small",
            "data": {"name": "image-folder", "options": folder},
            "backbone": {"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"},
            "transforms": {"name": "standard", "options": {"size": 32, "resize": 36}},
            "training": {"epochs": 1, "batch_size": 8},
            "output": str(tmp_path_factory.mktemp("runs")),
        }
    )
