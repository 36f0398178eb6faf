"""What a run was made with."""

import sys

import pytest

from tlf.discovery import PluginRecord
from tlf.engine.environment import _code_digest
from tlf.plugin import Declaration
from tlf.registry import Entry, load_registry


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Write files of a plugin, import what its target names, and return the digest of its code."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def digest(files, target):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        module = target.partition(":")[0]
        record = PluginRecord("acme", "tlf-acme", "1.0", module.partition(".")[0], "ok")
        entry = Entry("strategy", Declaration(name="acme/x", summary="x", target=target), record)
        entry.target()
        return _code_digest(entry)

    yield digest
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("made_up")]:
        del sys.modules[name]


FILES = {
    "made_up/__init__.py": "",
    "made_up/sub/__init__.py": "",
    "made_up/sub/target.py": "X = 1",
    "made_up/helpers/__init__.py": "A = 1",
    "made_up/readme.txt": "a",
}


@pytest.mark.parametrize("changed", [name for name in FILES if name.endswith(".py")])
def test_every_source_file_of_the_package_counts(digest, changed):
    before = digest(FILES, "made_up.sub.target:X")
    after = digest({changed: f"{FILES[changed]}\n"}, "made_up.sub.target:X")
    assert before != after


def test_the_folder_that_a_source_file_is_in_counts(digest, tmp_path):
    before = digest(FILES, "made_up.sub.target:X")
    (tmp_path / "made_up/helpers/__init__.py").rename(tmp_path / "made_up/helpers.py")
    assert digest({}, "made_up.sub.target:X") != before


def test_what_is_no_source_file_does_not_count(digest):
    before = digest(FILES, "made_up.sub.target:X")
    assert digest({"made_up/readme.txt": "b"}, "made_up.sub.target:X") == before


def test_of_a_plugin_that_is_a_single_module_its_neighbours_do_not_count(digest):
    before = digest({"made_up.py": "X = 1", "made_up_too.py": "A = 1"}, "made_up:X")
    assert digest({"made_up_too.py": "A = 2"}, "made_up:X") == before
    assert digest({"made_up.py": "X = 2"}, "made_up:X") != before


def test_of_a_namespace_package_only_the_plugins_own_part_counts(digest):
    files = {"made_up/mine/__init__.py": "X = 1", "made_up/yours/__init__.py": "A = 1"}
    before = digest(files, "made_up.mine:X")
    assert digest({"made_up/yours/__init__.py": "A = 2"}, "made_up.mine:X") == before
    assert digest({"made_up/mine/__init__.py": "X = 2"}, "made_up.mine:X") != before


def test_a_module_that_is_no_file_has_no_digest(digest, monkeypatch):
    entry = load_registry().get("device", "cpu")
    entry.target()
    assert len(_code_digest(entry)) == 64
    for name in ("tlf_builtin.cpu", "tlf_builtin.cpu.device"):
        monkeypatch.delattr(sys.modules[name], "__file__")
    assert _code_digest(entry) is None


def test_each_of_tlfs_own_plugins_has_a_digest_of_its_own():
    registry = load_registry()
    entries = [registry.get("device", name) for name in ("cpu", "auto")]
    for entry in entries:
        entry.target()
    cpu, auto = map(_code_digest, entries)
    assert cpu != auto
