"""Runs whose every byte is compared: with a cache, without one, and with one that is forced."""

import copy
import functools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import save_file

import tlf
from tlf.cache import Cache
from tlf.planning import StepCache
from tlf.registry import load_registry

from . import tiny
from .runs import COUNTS, RESULTS, TINY, Heard, random_network, write_image


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Let no chunk hold all images, as it would with images as small as these."""
    monkeypatch.setattr("tlf.engine.network.MOST_CHUNKS", 1)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Two classes that differ in colour, as uncompressed files of 40 by 48 pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for (split, name), count in COUNTS.items():
        for index in range(count):
            pixels = generator.integers(0, 200, (40, 48, 3), dtype=np.uint8)
            pixels[..., 0 if name == "red" else 2] += 40
            write_image(folder / split / name / f"{index:02d}.bmp", pixels)
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Return a function from a backbone to a file of weights for it."""
    folder = tmp_path_factory.mktemp("weights")

    @functools.cache
    def weights(backbone):
        path = folder / f"{backbone.replace('/', '-')}.safetensors"
        save_file(
            {name: one.contiguous() for name, one in random_network(backbone).state_dict().items()},
            path,
        )
        return path

    return weights


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder with a distribution of the plugin with the tiny network."""
    folder = tmp_path_factory.mktemp("site")
    about = folder / "tlf_acme-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tlf-acme\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[tlf.v1]\nacme = tiny_of_acme\n")
    (folder / "tiny_of_acme.py").write_text(Path(tiny.__file__).read_text())
    return folder


@pytest.fixture
def acme(site, monkeypatch):
    """The plugin with the tiny network, installed.

    Its module stays imported: a network that is known already is not split once more.
    """
    load_registry.cache_clear()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    yield
    load_registry.cache_clear()


@pytest.fixture
def spec(acme, pictures, weights, tmp_path):
    """Return a function that makes the spec of a small run; sections are added to, not replaced."""

    def spec(backbone=TINY, /, **changes):
        made = {
            "name": "small",
            "data": {
                "name": "image-folder",
                "options": {"train": str(pictures / "train"), "validation": str(pictures / "val")},
            },
            "backbone": {"name": backbone, "weights": str(weights(backbone))},
            "strategy": "feature-extraction",
            "transforms": {"name": "standard", "options": {"size": 32, "resize": 36}},
            "training": {"epochs": 3, "batch_size": 8, "views": 1, "learning_rate": 0.02},
            "device": {"name": "cpu", "options": {"precision": "float32"}},
            "output": str(tmp_path / "runs"),
        }
        _add(made, changes)
        return made

    return spec


def _add(made, changes):
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(made.get(name), dict):
            _add(made[name], value)
        else:
            made[name] = copy.deepcopy(value)


@pytest.fixture
def run(spec):
    """Return a function that carries out the spec, changed, and says what came of it."""

    def run(backbone=TINY, /, *, when=None, **changes):
        listener = Heard(**(when or {}))
        finished = tlf.run(spec(backbone, **changes), listener=listener)
        files = {name: (finished.directory / name).read_bytes() for name in RESULTS}
        return SimpleNamespace(
            # The loss of each batch too: the mean of an epoch could hide what becomes of them.
            results={**files, "losses": listener.losses},
            directory=finished.directory,
            report=finished.report,
            steps=[step["cache"] for step in finished.report["steps"]],
            through=finished.report["images_through_backbone"],
            warnings=listener.warnings,
            log=(finished.directory / "log.txt").read_text(),
        )

    return run


@pytest.fixture
def force(monkeypatch):
    """Return a function that makes runs keep features at a cut, whatever that costs.

    Where less is frozen, at the last cut there is; without a cut, at the boundary of each step. Where
    nothing is frozen, decoded images are kept.
    """

    def force(cut=None):
        def one(usage):
            if usage.frozen:
                return StepCache("features", min(cut or usage.frozen, usage.frozen), why="forced")
            return StepCache("decoded", decoded=True, why="forced")

        def decide(usages, costs, *, budget, **_):
            return tuple(one(usage) if budget else StepCache() for usage in usages)

        monkeypatch.setattr("tlf.engine.boundary.decide_cache", decide)

    return force


@pytest.fixture
def open_cache(cache_directory):
    """Open the cache that the test's runs use."""
    return lambda: Cache(cache_directory, 10**9, pytest.fail)


@pytest.fixture
def segments(cache_directory):
    """Return a function that lists the files of rows in that cache."""
    return lambda: sorted(cache_directory.glob("entries/*/*/*.safetensors"))
