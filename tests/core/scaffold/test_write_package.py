"""Packages of every kind as they are written: well formed, typed, and keeping the contract."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlf.discovery import PluginRecord, discover
from tlf.errors import OutputError, UsageError
from tlf.plugin import Declaration
from tlf.plugin.declarations import KINDS
from tlf.registry import Registry
from tlf.scaffold import write_package
from tlf.scaffold.names import LONGEST, Names, names_of

BIN = Path(sys.executable).parent
#: A kind's package, by a short name and by one that is as long as can be.
SHORT = {kind: f"tlf-new-{kind}" for kind in KINDS}
LONG = {kind: f"tlf-{kind}-".ljust(LONGEST, "o") for kind in KINDS}


def record(name, declarations=None):
    return PluginRecord(name, f"tlf-{name}", "1.2.3", "m", "ok", declarations=declarations or {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two packages of every kind."""
    place = tmp_path_factory.mktemp("packages")
    for names in (SHORT, LONG):
        for kind, name in names.items():
            write_package(name, kind, place)
    return place


@pytest.fixture(scope="module")
def site(folder, tmp_path_factory):
    """What `pip install -e` of the packages with short names would write."""
    place = tmp_path_factory.mktemp("site")
    for name in SHORT.values():
        project = project_of(folder / name)["project"]
        about = place / f"{name.replace('-', '_')}-{project['version']}.dist-info"
        about.mkdir()
        about.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        points = [f"{k} = {v}\n" for k, v in project["entry-points"]["tlf.v1"].items()]
        about.joinpath("entry_points.txt").write_text("".join(["[tlf.v1]\n", *points]))
    return place


def path_of(folder, site):
    return [str(site), *(str(folder / name / "src") for name in SHORT.values())]


def project_of(package):
    return tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))


def carry_out(*words, cwd, **changes):
    """Run a tool, and return what it says if it is not content."""
    plain = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**plain, "COLUMNS": "200", **changes},
        capture_output=True,
        check=False,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_that_are_named_are_those_that_are_there(kind, tmp_path):
    package = write_package("tlf-acme", kind, tmp_path)
    module = kind.replace("-", "_")
    assert package.directory == tmp_path / "tlf-acme"
    assert package.plugin == "acme"
    found = [path for path in package.directory.rglob("*") if path.is_file()]
    assert [str(path) for path in package.files] == sorted(
        path.relative_to(package.directory).as_posix() for path in found
    )
    assert {
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/tlf_acme/__init__.py",
        f"src/tlf_acme/{module}.py",
        "src/tlf_acme/py.typed",
        "tests/test_contract.py",
        f"tests/test_{module}.py",
    } <= set(package.files)
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert "$" not in text
        assert "MODULE" not in text
        assert text == "" or text.endswith("\n")
        assert not text.endswith("\n\n")


@pytest.mark.parametrize("kind", KINDS)
def test_the_project_says_what_pip_and_tlf_have_to_know(kind, tmp_path):
    package = write_package("tlf-acme", kind, tmp_path)
    whole = project_of(package.directory)
    project = whole["project"]
    assert project["name"] == "tlf-acme"
    assert project["version"] == "0.1.0"
    assert f"the {kind.replace('-', ' ')} acme" in project["description"]
    assert project["requires-python"] == ">=3.11"
    assert project["dependencies"] == ["tlf"]
    assert project["readme"] in package.files
    assert project["entry-points"] == {"tlf.v1": {"acme": "tlf_acme"}}
    assert [name.partition(">")[0] for name in project["optional-dependencies"]["dev"]] == [
        "pytest"
    ]
    (source,) = whole["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert f"{source}/__init__.py" in package.files
    assert whole["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]


def test_a_name_without_the_prefix_is_that_of_the_plugin_and_of_the_module(tmp_path):
    package = write_package("acme-nets", "strategy", tmp_path)
    assert package.plugin == "acme-nets"
    assert project_of(package.directory)["project"]["entry-points"] == {
        "tlf.v1": {"acme-nets": "acme_nets"}
    }


def test_the_packages_are_well_formatted_and_clean(folder):
    """With ruff's own settings, but for the length of a line; whatever the length of the name."""
    for name in (*SHORT.values(), *LONG.values()):
        assert project_of(folder / name)["tool"]["ruff"] == {"line-length": 100}
    carry_out(BIN / "ruff", "format", "--no-cache", "--check", folder, cwd=folder)
    carry_out(BIN / "ruff", "check", "--no-cache", folder, cwd=folder)


@pytest.mark.slow
def test_the_packages_have_strict_types(folder, tmp_path):
    sources = [f"{name}/src/{name.replace('-', '_')}" for name in SHORT.values()]
    carry_out(BIN / "mypy", "--strict", "--cache-dir", tmp_path, *sources, cwd=folder)


@pytest.mark.slow
def test_the_packages_pass_their_own_tests_the_contract_among_them(folder, site):
    tests = [f"{name}/tests" for name in SHORT.values()]
    said = carry_out(
        *(sys.executable, "-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider"),
        # Test modules of different packages have one name.
        *("--import-mode=importlib", "--color=no", "--rootdir", folder, *tests),
        cwd=folder,
        PYTHONPATH=os.pathsep.join(path_of(folder, site)),
    )
    for kind, name in SHORT.items():
        for module in ("test_contract", f"test_{kind.replace('-', '_')}"):
            assert re.search(rf"^{name}/tests/{module}\.py::.* PASSED", said, re.MULTILINE), said
    assert "skipped" not in said.splitlines()[-1]


@pytest.fixture
def registry(folder, site, monkeypatch):
    """The installed plugins, if the packages with short names were all there is."""
    before = set(sys.modules)
    for path in path_of(folder, site):
        monkeypatch.syspath_prepend(path)
    yield Registry(discover(metadata.distributions(path=[str(site)])))
    for name in set(sys.modules) - before:
        if name.startswith("tlf_new_"):
            del sys.modules[name]


def test_each_plugin_works_and_provides_one_thing_of_its_kind(registry):
    assert [record.reason for record in registry.plugins if record.state != "ok"] == []
    found = {entry.kind: entry for entry in registry.entries()}
    assert len(registry.entries()) == len(found) == len(KINDS)
    for kind, entry in found.items():
        names = Names(SHORT[kind], kind)
        assert entry.plugin.name == names.plugin == f"new-{kind}"
        assert entry.declaration.name == names.thing
        fields = entry.options_model().model_fields
        assert fields
        assert all(field.description for field in fields.values())
    assert found["backbone-family"].declaration.name == "newbackbonefamily"


def test_the_spec_in_a_readme_is_valid(registry, folder):
    for entry in registry.entries():
        readme = (folder / SHORT[entry.kind] / "README.md").read_text(encoding="utf-8")
        (line,) = re.findall(r'^ {4}("\w+": .*)$', readme, re.MULTILINE)
        (part,) = json.loads(f"{{{line}}}").values()
        part = part[0] if isinstance(part, list) else part
        assert part["name"].partition("/tiny")[0] == entry.declaration.name
        assert part["options"]
        entry.options(part["options"])


def test_a_readme_names_the_package_s_own_commands(folder):
    for kind, name in SHORT.items():
        readme = (folder / name / "README.md").read_text(encoding="utf-8")
        headings = re.findall(r"^## (.*)$", readme, re.MULTILINE)
        assert headings == ["Install", "Try", "Check", "Ship"]
        assert re.findall(r"^(?:tlf|pip|pytest)\b.*$", readme, re.MULTILINE) == []
        assert len(re.findall(r"^ {4}tlf .*$", readme, re.MULTILINE)) >= 4
        for command in (
            "pip install -e '.[dev]'",
            f"tlf plugins show new-{kind}",
            "pytest",
            f"tlf plugins check new-{kind}",
        ):
            assert f"\n    {command}\n" in readme


def test_of_tlf_the_packages_import_the_public_plugin_api_only(folder):
    allowed = {"tlf.plugin", "tlf.errors", "tlf.testing"}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            ours = {name for name in names if name.partition(".")[0] == "tlf"}
            assert ours <= allowed - ({"tlf.testing"} if "src" in path.parts else set())


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("Tlf_Acme", "cannot be called `Tlf_Acme`: .* joined by `-`", "did you mean `tlf-acme`?"),
        ("tlfAcme", "cannot be called `tlfAcme`", "did you mean `tlf-acme`?"),
        ("../acme", r"cannot be called `\.\./acme`", "did you mean `acme`?"),
        ("tlf-acme-", "cannot be called `tlf-acme-`", "did you mean `tlf-acme`?"),
        ("tlf--acme", "cannot be called `tlf--acme`", "did you mean `tlf-acme`?"),
        ("3d", "begin with a letter", "did you mean `tlf-my-3d`?"),
        ("", "cannot be called ``", "did you mean `tlf-plugin`?"),
        ("éclair", "cannot be called `éclair`", "did you mean `eclair`?"),
        ("tlf-3d", "makes a plugin called `3d`.* begin with a letter", "did you mean `tlf-my-3d`?"),
        ("tlf-" + "a" * 60, "has 64 characters, more than 50", f"mean `tlf-{'a' * 46}`?"),
        ("class", "`class` is a word of Python", "`tlf-class` is free"),
        ("json", "`json` is a module of Python's own", "`tlf-json` is free"),
        ("tlf", "a distribution called `tlf` is installed", "`tlf-tlf` is free"),
        ("scikit-learn", "a distribution called `scikit-learn`", "`tlf-scikit-learn` is free"),
        ("tlf-builtin", "a module called `tlf_builtin` is installed", "`tlf-my-builtin` is free"),
    ],
)
def test_a_name_that_will_not_do_is_refused_with_one_that_will(name, message, hint, tmp_path):
    with pytest.raises(UsageError, match=message) as caught:
        write_package(name, "strategy", tmp_path)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tlf-acme", "tlf-keyword", "acme", "tlf-json", "a", "tlf-a1-2"])
def test_other_names_will_do(name, tmp_path):
    assert write_package(name, "strategy", tmp_path).directory.name == name


@given(name=st.text(max_size=60) | st.from_regex(r"(tlf)?[a-zA-Z0-9_.-]{0,30}", fullmatch=True))
@settings(max_examples=60, deadline=None)
def test_whatever_the_name_it_will_do_or_the_hint_has_one_that_will(name):
    try:
        names_of(name, "strategy", ())
    except UsageError as error:
        (hinted,) = re.findall(r"`(.+?)`", error.hint)
        assert names_of(hinted, "strategy", ()).distribution == hinted


@pytest.mark.parametrize(
    ("kind", "installed", "message"),
    [
        ("strategy", record("acme"), "a plugin called `acme` is installed already, from tlf-acme"),
        (
            "device",
            record("nets", {"backbone-family": ("acme",)}),
            "a backbone family called `acme` is installed already, from tlf-nets 1.2.3",
        ),
    ],
)
def test_what_an_installed_plugin_is_called_is_taken(kind, installed, message, tmp_path):
    things = {
        kind: tuple(Declaration(name=name, summary="", target="m:M") for name in names)
        for kind, names in installed.declarations.items()
    }
    with pytest.raises(UsageError, match=message) as caught:
        write_package("tlf-acme", kind, tmp_path, installed=[record(installed.name, things)])
    assert caught.value.hint == "`tlf-my-acme` is free"


def test_a_plugin_that_is_only_waited_for_is_not_there_yet(tmp_path):
    """It is on record if `TLF_PLUGINS` names it."""
    waited_for = PluginRecord("acme", "", "", "", "broken", "it is not installed")
    package = write_package("tlf-acme", "strategy", tmp_path, installed=[waited_for])
    assert package.plugin == "acme"


def test_a_family_is_refused_by_its_own_name_which_has_no_dashes(tmp_path):
    family = Declaration(name="acmenets", summary="", target="m:M")
    installed = [record("other", {"backbone-family": (family,)})]
    with pytest.raises(UsageError, match="a backbone family called `acmenets`"):
        write_package("tlf-acme-nets", "backbone-family", tmp_path, installed=installed)
    write_package("tlf-acme-nets", "strategy", tmp_path, installed=installed)


@pytest.mark.parametrize("taken", ["folder", "file", "link"])
def test_what_is_there_is_never_written_over(taken, tmp_path):
    target = tmp_path / "tlf-acme"
    if taken == "folder":
        target.mkdir()
    elif taken == "file":
        target.write_text("mine")
    else:
        target.symlink_to("nowhere")
    with pytest.raises(OutputError, match=r"`.*tlf-acme` exists already") as caught:
        write_package("tlf-acme", "strategy", tmp_path)
    assert "another name" in caught.value.hint
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("inside", "message"),
    [("missing", "the folder `.*missing` does not exist"), ("file", "`.*file` is a file, not")],
)
def test_a_folder_that_is_none_is_said_to_be_none(inside, message, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=message):
        write_package("tlf-acme", "strategy", tmp_path / inside)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_cannot_be_finished_leaves_nothing_behind(error, tmp_path, monkeypatch):
    def fail(self, *arguments, **options):
        if self.name == "test_contract.py":
            raise error
        return write(self, *arguments, **options)

    write = Path.write_text
    monkeypatch.setattr(Path, "write_text", fail)
    wanted = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(wanted) as caught:
        write_package("tlf-acme", "strategy", tmp_path)
    assert list(tmp_path.iterdir()) == []
    if isinstance(error, OSError):
        assert "tlf-acme` cannot be written (no space left on device)" in caught.value.message
