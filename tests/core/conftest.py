"""Distributions with plugins in them, made up for a test and installed for its time."""

import itertools
import sys

import pytest

HEADER = """
from tlf.plugin import BackboneFamilyDeclaration, DataSourceDeclaration, Declaration, hookimpl
FIELDS = {"name": "acme/x", "summary": "x", "target": "MODULE:Half"}
"""
NUMBERS = itertools.count()


@pytest.fixture
def distribute(tmp_path, monkeypatch):
    """Install a distribution with one plugin; return the name of its module."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    modules = []

    def add(plugin, source, *, distribution=None, group="tlf.v1", value=None):
        distribution = distribution or f"tlf-{plugin}"
        module = f"made_up_{next(NUMBERS)}"
        modules.append(module)
        about = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        with (about / "entry_points.txt").open("a") as file:
            file.write(f"[{group}]\n{plugin} = {value or module}\n")
        (site / f"{module}.py").write_text((HEADER + source).replace("MODULE", module))
        return module

    yield add
    for name in modules:
        sys.modules.pop(name, None)


@pytest.fixture
def strategies():
    """Source of a plugin that declares strategies of these names."""

    def write(*names, **fields):
        items = ", ".join(
            f"Declaration(**(FIELDS | { ({'name': name} | fields)!r}))" for name in names
        )
        return f"@hookimpl\ndef tlf_strategies():\n    return [{items}]\n"

    return write


@pytest.fixture
def family():
    """Source of a plugin that declares a backbone family."""

    def write(name):
        return (
            "@hookimpl\ndef tlf_backbone_families():\n"
            f"    return [BackboneFamilyDeclaration(name={name!r}, summary='nets',"
            " target='MODULE:Family', example_models=('tiny',))]\n"
        )

    return write
