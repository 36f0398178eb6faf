"""A toy plugin that is not installed, declared as one that is."""

import sys
from importlib import metadata
from types import ModuleType

import pytest

from tlf.discovery import PluginRecord, discover
from tlf.plugin.declarations import Declaration
from tlf.plugin.rules import DECLARATIONS
from tlf.registry import Registry
from tlf.testing.toys import write_images

from .saboteurs import HEALTHY, ToyOptions


@pytest.fixture
def declare(monkeypatch):
    """Return a function that makes the entry of a toy: its module can be imported, and declares it."""

    def make(kind, code=None, *, model=ToyOptions, write=write_images, **changes):
        healthy, more = HEALTHY[kind]
        module = ModuleType("tlf_toy")
        module.Target = healthy if code is None else code
        module.Model = model
        module.write = write
        monkeypatch.setitem(sys.modules, "tlf_toy", module)
        values = {
            "name": "toy/toy",
            "summary": "a toy",
            "target": "tlf_toy:Target",
            "options": "tlf_toy:Model",
            **more,
            **changes,
        }
        declaration = DECLARATIONS.get(kind, Declaration)(**values)
        declarations = {kind: (declaration,)}
        record = PluginRecord("toy", "tlf-toy", "1.0", "tlf_toy", "ok", declarations=declarations)
        (entry,) = Registry([record]).entries()
        return entry

    return make


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that writes a distribution with a plugin, and gives the registry of it."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def write(**modules):
        about = site / "tlf_acme-1.2.3.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tlf-acme\nVersion: 1.2.3\n")
        (about / "entry_points.txt").write_text("[tlf.v1]\nacme = tlf_acme\n")
        for name, source in modules.items():
            (site / f"{name}.py").write_text(source)
        return Registry(discover(metadata.distributions(path=[str(site)])))

    yield write
    for name in [name for name in sys.modules if name.startswith("tlf_acme")]:
        del sys.modules[name]
