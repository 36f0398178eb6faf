"""The training loop in float16, whose gradients may overflow."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tlf.errors import RunError


def losses(run):
    lines = (run.directory / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["train"]["loss"] for line in lines]


def test_a_run_in_float16_learns_and_says_so(run_in_half):
    run = run_in_half(training={"epochs": 3, "batch_size": 8})
    assert losses(run)[-1] < losses(run)[0]
    assert run.report["precision"] == "float16"


def test_batches_whose_gradients_overflow_change_nothing_and_fail_nothing(run_in_half, scale_from):
    """So few batches are all left out; yet all parameters had a gradient, which is looked for."""

    def trained(epochs, scale):
        scale_from(scale)
        directory = run_in_half(training={"epochs": epochs, "batch_size": 8}).directory
        return load_file(directory / "model.safetensors")

    left_out, longer, learned = trained(1, 2**60), trained(2, 2**60), trained(1, 2**8)
    assert all(tensor.equal(longer[name]) for name, tensor in left_out.items())
    assert not learned["head.linear.weight"].equal(left_out["head.linear.weight"])


def test_gradients_that_stay_infinite_fail_the_run_with_a_way_out(run_in_half, scale_from):
    scale_from(2**-11)
    with pytest.raises(RunError, match=r"stay infinite in float16, .* `all`, epoch 1") as caught:
        run_in_half()
    assert "set `device.options.precision` to `float32`" in caught.value.hint


def test_the_probe_in_float16_leaves_the_runs_scale_alone(run_in_half, monkeypatch):
    seen = []
    scaler = torch.amp.GradScaler

    def noted(*arguments, **options):
        seen.append(scaler(*arguments, **options))
        return seen[-1]

    monkeypatch.setattr(torch.amp, "GradScaler", noted)
    run_in_half(training={"epochs": 1})
    assert len(seen) == 2
