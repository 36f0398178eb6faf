"""Building the network of a run, and how many images are evaluated at a time."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from tlf.engine.network import build_network, chunk_size_of
from tlf.errors import PluginError


class Small:
    chunk_size = 8


@pytest.mark.parametrize(
    ("size", "chunk"), [(224, 8), (160, 16), (112, 32), (64, 64), (20, 64), (320, 4), (2000, 1)]
)
def test_a_chunk_is_about_equally_many_pixels(size, chunk):
    assert chunk_size_of(Small(), size) == chunk


@pytest.mark.parametrize(
    ("method", "weights"),
    [("fetch", "default"), ("ignored_weights", "a file"), ("convert_weights", "a file")],
)
def test_a_family_that_fails_over_its_weights_is_named(job, monkeypatch, tmp_path, method, weights):
    def fail(*_):
        raise ZeroDivisionError("oops")

    path = tmp_path / "weights.safetensors"
    save_file({"another": torch.ones(1)}, path)
    monkeypatch.setattr(type(job.family.part), method, fail)
    job = dataclasses.replace(job, weights="default" if weights == "default" else path)
    with pytest.raises(PluginError, match=f"`{method}` of .*ZeroDivisionError.*oops"):
        build_network(job)


def test_the_head_starts_as_the_seed_says(job):
    first, second = (build_network(job).head.linear.weight for _ in range(2))
    assert torch.equal(first, second)
