"""What is shipped: the wheel has everything, and works in a fresh environment."""

import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_installed_entry_points_are_those_of_pyproject():
    """They are copied when the package is installed, so a new plugin may not be there yet."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = {
        point.name: point.value
        for point in metadata.distribution("tlf").entry_points
        if point.group == "tlf.v1"
    }
    assert installed == project["entry-points"]["tlf.v1"], "run `pip install -e .` again"


def test_there_is_no_package_directly_in_core_or_plugins():
    assert not list(ROOT.glob("core/__init__.py")) + list(ROOT.glob("plugins/__init__.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (path,) = folder.glob("tlf-*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_has_every_module_the_readmes_and_the_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    rooms = (("core", "tlf"), ("core", "tlf_pytest"), ("plugins", "tlf_builtin"))
    for room, package in rooms:
        for path in (ROOT / room / package).rglob("*"):
            if path.suffix in {".py", ".md", ".txt"} or path.name == "py.typed":
                assert path.relative_to(ROOT / room).as_posix() in names
    assert not any(name.startswith(("tests/", "docs/", "examples/")) for name in names)


@pytest.mark.slow
def test_the_wheel_works_in_an_environment_of_its_own(wheel, tmp_path):
    """Its libraries are those of this environment: installing torch anew takes minutes."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    find = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = subprocess.run([str(python), "-c", find], check=True, capture_output=True, text=True)
    # Behind the environment's own packages, so that the wheel's tlf is the one that is found.
    (Path(site.stdout.strip()) / "libraries.pth").write_text(libraries + "\n")
    done = subprocess.run(
        [str(tmp_path / "env" / "bin" / "tlf"), "plugins", "list"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.count("ok") >= 8
    where = "import tlf, tlf_builtin; print(tlf.__file__)"
    found = subprocess.run(
        [str(python), "-c", where], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert str(tmp_path) in found.stdout
