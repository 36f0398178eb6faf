import json
import subprocess
import sys

import pytest

from tlf.plugin.declarations import KINDS

NEXT = """next:
  cd {}
  pip install -e '.[dev]'
  tlf plugins list
  pytest
  tlf plugins check acme
"""

GOOD = """
from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies():
    return [Declaration(name="acme/half", summary="half of it learns", target="tlf_acme:Half")]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder, empty."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_of_every_kind_is_written(tlf, place, kind):
    code, out, err = tlf("plugins", "new", "tlf-acme", "--kind", kind)
    assert (code, out, err) == (0, "tlf-acme\n", NEXT.format("tlf-acme"))
    assert (place / "tlf-acme" / "pyproject.toml").is_file()
    assert [path.name for path in place.iterdir()] == ["tlf-acme"]


def test_it_can_be_put_elsewhere(tlf, place):
    (place / "my plugins").mkdir()
    code, out, err = tlf(
        "plugins", "new", "tlf-acme", "--kind", "device", "--directory", "my plugins"
    )
    assert (code, out) == (0, "my plugins/tlf-acme\n")
    assert err == NEXT.format("'my plugins/tlf-acme'")
    assert (place / out.strip()).is_dir()


def test_json_has_the_directory_the_plugin_and_the_files(tlf, place):
    code, out, err = tlf("plugins", "new", "tlf-acme", "--kind", "strategy", "--json")
    assert code == 0
    assert err == NEXT.format("tlf-acme")
    assert json.loads(out) == {
        "directory": "tlf-acme",
        "plugin": "acme",
        "files": [
            ".gitignore",
            "README.md",
            "pyproject.toml",
            "src/tlf_acme/__init__.py",
            "src/tlf_acme/py.typed",
            "src/tlf_acme/strategy.py",
            "tests/test_contract.py",
            "tests/test_strategy.py",
        ],
    }


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["Acme"], "cannot be called `Acme`", "did you mean `acme`?"),
        (["tlf-probe"], "a plugin called `probe` is installed already, from tlf", "`tlf-my-probe`"),
        (["tlf-tlf"], "a backbone family called `tlf` is installed already", "`tlf-my-tlf`"),
        (["tlf"], "error: a ", "`tlf-my-tlf` is free"),
        (["json"], "`json` is a module of Python's own", "`tlf-json` is free"),
        (["tlf-x", "--directory", "nowhere"], "`nowhere` does not exist", "name the folder"),
        (["taken"], "`taken` exists already, and nothing is overwritten", "another name"),
        ([], "error: missing argument `NAME`", "`tlf plugins new --help`"),
    ],
)
def test_an_error_has_a_hint_and_exit_code_2_and_writes_nothing(tlf, place, words, message, hint):
    (place / "taken").mkdir()
    code, out, err = tlf("plugins", "new", *words, "--kind", "strategy")
    assert (code, out) == (2, "")
    assert message in err
    assert hint in err.partition("\n\nhint: ")[2]
    assert "next:" not in err
    assert [path.name for path in place.rglob("*")] == ["taken"]


def test_a_kind_that_does_not_exist_is_refused_with_the_nearest(tlf, place):
    code, out, err = tlf("plugins", "new", "tlf-acme", "--kind", "strategies")
    assert (code, out) == (2, "")
    assert "`strategies` is no kind of plugin; did you mean `strategy`?" in err
    assert list(place.iterdir()) == []


def test_without_a_kind_it_is_asked_for(tlf, place):
    code, out, err = tlf("plugins", "new", "tlf-acme")
    assert (code, out) == (2, "")
    assert err.startswith("error: missing option `--kind`")


def test_the_help_names_every_kind(tlf):
    words = tlf("plugins", "new", "--help")[1]
    assert [kind for kind in KINDS if f"`{kind}`" not in words] == []


@pytest.mark.parametrize("source", [GOOD, "raise ImportError('libacme')"], ids=["ok", "broken"])
def test_the_name_of_an_installed_plugin_is_taken_also_of_a_broken_one(tlf, place, install, source):
    install("acme", source)
    code, out, err = tlf("plugins", "new", "tlf-acme", "--kind", "strategy")
    assert (code, out) == (2, "")
    assert "a plugin called `acme` is installed already, from tlf-acme 1.2.3" in err
    assert list(place.iterdir()) == []


def test_no_heavy_library_is_imported(place):
    script = (
        "import sys\n"
        "from tlf.cli import main\n"
        "code = main(['plugins', 'new', 'tlf-acme', '--kind', 'backbone-family'])\n"
        "heavy = {'torch', 'torchvision', 'numpy', 'sklearn', 'PIL', 'click'}\n"
        "sys.exit(code or str(heavy & set(sys.modules)) * bool(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
