"""The files beside the code are shipped with it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tlf.report

ROOT = Path(__file__).parents[3]
NAMES = {"blocks.html", "page.css", "page.html", "page.js"}


def test_templates_are_part_of_the_package():
    folder = Path(tlf.report.__file__).parent / "templates"
    assert {path.name for path in folder.iterdir()} == NAMES


def test_the_script_and_the_style_cannot_end_early():
    """They are put into the page as they are."""
    folder = Path(tlf.report.__file__).parent / "templates"
    assert "</" not in (folder / "page.js").read_text()
    assert "</" not in (folder / "page.css").read_text()


@pytest.mark.slow
def test_the_wheel_has_the_templates(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (path,) = tmp_path.glob("tlf-*.whl")
    names = zipfile.ZipFile(path).namelist()
    assert {Path(name).name for name in names if "tlf/report/templates/" in name} == NAMES
