"""What a command writes, starts and reaches: only what the user has named, and nothing else."""

import json
import sys
from pathlib import Path

import pytest

import tlf
from tlf.errors import SpecError
from tlf_builtin.csv_table.observer import CsvOptions
from tlf_builtin.tensorboard_events.options import TensorBoardOptions

#: Programs that libraries ask about the system, always with these words: Python's own search for
#: shared libraries, the name of the processor, and, when it is used for the first time, the fonts.
ASKED = {
    ("/sbin/ldconfig", "['/sbin/ldconfig', '-p']"),
    ("uname", "['uname', '-p']"),
    ("fc-list", "['fc-list', '--help']"),
    ("fc-list", r"['fc-list', '--format=%{file}\\n']"),
}
#: What is no file of anybody's: torch measures memory with the second.
NOBODYS = {"/dev/null", "/proc/self/clear_refs"}


@pytest.fixture
def spec_file(small_spec, tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(small_spec))
    return path


@pytest.fixture
def check(home, temporary, cache_directory):
    """Check what a command line has done against where it may write."""

    def check(audit, *places, starts=()):
        assert audit.done.returncode == 0, audit.done.stderr
        assert audit.changed
        # What matplotlib remembers of the fonts here is its own, and beside it nothing is the user's.
        libraries = [home / ".cache" / "matplotlib", home / ".config" / "matplotlib"]
        allowed = [temporary, cache_directory, *libraries, *places]
        above = {parent for place in allowed for parent in place.parents}
        outside = {
            path
            for path in audit.changed - NOBODYS
            if not any(Path(path).is_relative_to(place) for place in allowed)
            # Folders on the way there.
            and Path(path) not in above
        }
        assert outside == set()
        assert {one[0] for one in audit.deeds} <= {"subprocess.Popen"}
        started = {(one[1], one[2]) for one in audit.deeds}
        assert started - ASKED == set(starts)

    return check


@pytest.mark.slow
def test_a_run_writes_to_its_output_and_the_cache_and_starts_nothing(
    audit, check, spec_file, tmp_path
):
    values = json.loads(spec_file.read_text())
    spec_file.write_text(json.dumps({**values, "observers": ["csv"]}))
    check(audit("run", spec_file), tmp_path / "runs")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_an_observer_writes_where_the_run_does_or_where_its_options_say(
    audit, check, spec_file, tmp_path, name
):
    pytest.importorskip(name)
    options = {"mlflow": {"tracking_uri": "tracking/mlflow.db"}}.get(name, {})
    values = json.loads(spec_file.read_text())
    spec_file.write_text(json.dumps({**values, "observers": [{"name": name, "options": options}]}))
    found = audit("run", spec_file)
    check(found, tmp_path / "runs", tmp_path / "tracking")
    assert "warning" not in found.done.stderr


def test_predicting_writes_nothing_and_starts_nothing(audit, check, own_run, photographs):
    before = {path: path.read_bytes() for path in own_run.iterdir()}
    found = audit("predict", own_run, photographs / "val")
    check(found)
    assert len(found.done.stdout.splitlines()) > 10
    assert {path: path.read_bytes() for path in own_run.iterdir()} == before


@pytest.mark.slow
def test_a_report_writes_into_the_run_and_starts_nothing(audit, check, own_run):
    check(audit("report", own_run), own_run)


@pytest.mark.slow
def test_a_comparison_starts_its_own_processes_and_nothing_else(audit, check, spec_file, tmp_path):
    worker = [sys.executable, "-P", "-m", "tlf.engine.comparing.worker"]
    check(
        audit("compare", spec_file, "--strategies", "probe,knn", "--jobs", "2"),
        tmp_path / "runs",
        starts={(sys.executable, str(worker))},
    )


def test_the_audit_sees_what_is_done(audit, check, home, spec_file):
    """A plugin is code, and may do all this; here it is one by the name of a test."""
    site = home / "site"
    about = site / "tlf_bad-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tlf-bad\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[tlf.v1]\nbad = tlf_bad\n")
    (site / "tlf_bad.py").write_text(
        "import os, pickle, socket, subprocess\n"
        "open('written', 'w').close()\n"
        "os.mkdir('made')\n"
        "subprocess.run(['true'])\n"
        "pickle.loads(pickle.dumps(print))\n"
        "try:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError:\n    pass\n"
    )
    found = audit("plugins", "list", path=site)
    assert {one[0] for one in found.deeds} >= {
        "subprocess.Popen", "pickle.find_class", "socket.connect",
    }  # fmt: skip
    assert {str(home / "written"), str(home / "made")} <= found.changed
    with pytest.raises(AssertionError):
        check(found)


ESCAPES = (
    "..",
    ".",
    "../x",
    "/absolute/x",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\n",
    "",
    " ",
    "~",
    "é",
    "x" * 200,
)


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_leads_nowhere_but_into_the_output(small_spec, tmp_path, name):
    with pytest.raises(SpecError, match="name"):
        tlf.run({**small_spec, "name": name})
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ESCAPES)
def test_an_observer_puts_its_file_nowhere_but_into_the_run(name):
    for options, field in ((CsvOptions, "file"), (TensorBoardOptions, "folder")):
        if name == "x" * 200:
            continue
        for written in (name, f"{name}.csv"):
            try:
                made = getattr(options(**{field: written}), field)
            except ValueError:
                continue
            # What is taken is one plain name.
            assert Path(made).name == made
            assert made not in ("", ".", "..")
            assert "\n" not in made


def test_names_of_rows_of_a_comparison_become_plain_folders(small_spec, tmp_path):
    base = {**small_spec, "strategy": "knn", "evaluation": {"metrics": ["accuracy"]}}
    odd = [{"name": "standard", "options": {"size": 32, "resize": 36, "mean": [0.1, 0.2, 0.3]}}]
    done = tlf.compare({"base": base, "grid": {"transforms": odd}})
    (only,) = [path for path in done.directory.iterdir() if path.is_dir()]
    assert only.name == done.cells[0].directory
    assert set(only.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_")


def test_the_cache_lies_where_the_spec_says_and_nowhere_else(small_spec, tmp_path, cache_directory):
    named = tmp_path / "a cache"
    tlf.run({**small_spec, "cache": {"directory": str(named)}})
    assert list(named.rglob("*.safetensors"))
    assert not cache_directory.exists()
