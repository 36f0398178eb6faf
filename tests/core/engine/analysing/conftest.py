"""Runs to analyse: of photographs that may be changed, and of digits, which have a test split."""

import copy
import shutil

import pytest

import tlf


@pytest.fixture
def own_photographs(photographs, tmp_path):
    """Photographs that a test may change."""
    return shutil.copytree(photographs, tmp_path / "photographs")


@pytest.fixture
def run(small_spec, own_photographs, same_costs):
    """Run the small spec on photographs of the test's own, changed as a test needs it."""
    options = {"train": str(own_photographs / "train"), "validation": str(own_photographs / "val")}
    data = {"name": "image-folder", "options": options}

    def run(**changes):
        spec = copy.deepcopy(small_spec)
        return tlf.run({**spec, "data": data, "training": {"epochs": 1}, **changes}).directory

    return run


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A finished run on digits, which come without files, and with a test split."""
    return tlf.run(
        {
            "name": "digits",
            "data": {"name": "digits", "options": {"shots": 3}},
            "backbone": "tlf/resnet20",
            "transforms": {"name": "standard", "options": {"flip": 0.0}},
            "training": {"epochs": 2, "batch_size": 10},
            "device": {"name": "cpu", "options": {"precision": "float32"}},
            "output": str(tmp_path_factory.mktemp("runs")),
        }
    ).directory
