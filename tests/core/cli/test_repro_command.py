"""`tlf repro`: what it prints, and its exit codes."""

import json
import shutil
import signal
from pathlib import Path

import pytest
from PIL import Image

import tlf as library

EPOCH = {"epochs": 1, "batch_size": 8}


@pytest.fixture
def run(small_spec, photographs, tmp_path):
    """A finished run whose images a test may change."""
    images = shutil.copytree(photographs, tmp_path / "images")
    options = {"train": str(images / "train"), "validation": str(images / "val")}
    data = {"name": "image-folder", "options": options}
    return library.run({**small_spec, "data": data, "training": EPOCH}).directory


@pytest.fixture
def changed(run, tmp_path):
    """The same run, one of whose images is another one by now."""
    Image.new("RGB", (40, 48), (9, 200, 9)).save(tmp_path / "images" / "train" / "red" / "00.png")
    return run


def test_a_run_that_is_the_same_is_one_line_and_the_progress_goes_elsewhere(tlf, run):
    code, out, err = tlf("repro", run)
    assert code == 0
    assert out == "same: metrics, weights and predictions are equal to the last byte\n"
    assert "epoch 1/1" in err


def test_one_that_is_not_ends_with_1_and_says_what_differs_first_and_why(tlf, changed):
    code, out, err = tlf("repro", changed)
    assert code == 1
    assert "error" not in err
    words = " ".join(out.split())
    assert words.startswith("different: first in step `head`, epoch 1: `train.loss` was ")
    assert " apart what differs " in words
    assert "metrics 1 of 1 lines" in words
    assert "weights head (up to " in words
    assert "FROZEN" not in words
    assert "likely cause: the images of `train`: 24 images " in words
    assert max(len(line) for line in out.splitlines() if not line.startswith("likely")) <= 80


def test_json_holds_it_all_and_the_exit_code_is_the_same(tlf, changed):
    code, out, _ = tlf("repro", changed, "--json")
    found = json.loads(out)
    assert code == 1
    assert (found["verdict"], found["run"], found["directory"]) == ("different", str(changed), None)
    assert found["first"].keys() == {"line", "step", "epoch", "field", "then", "now", "size"}
    assert [change["kind"] for change in found["changes"]] == ["data"]
    assert found["causes"][0].startswith("the images of `train`")
    assert [stage["stage"] for stage in found["stages"]] == ["head"]
    assert found["predictions"]["images"] == 10
    then, now = found["metrics"]["loss"]
    assert then != now


def test_the_new_run_is_kept_and_its_directory_is_the_last_line(tlf, run, tmp_path):
    code, out, _ = tlf("repro", run, "--output-directory", tmp_path / "again", "--no-cache")
    assert code == 0
    assert out.splitlines()[-1] == str(tmp_path / "again")
    assert (tmp_path / "again" / "report.json").is_file()


def test_a_change_without_effect_is_said(tlf, run):
    environment = json.loads((run / "environment.json").read_text())
    environment["libraries"]["pillow"] = "1.0"
    (run / "environment.json").write_text(json.dumps(environment))
    code, out, _ = tlf("repro", run)
    assert code == 0
    assert "changed, without any effect: pillow: 1.0 then, " in out


def test_frozen_weights_that_differ_are_said_loudly(tlf, run):
    from tlf.engine.files import read_tensors, write_tensors

    path = run / "model.safetensors"
    tensors = read_tensors(path)
    name = "backbone.conv1.0.weight"
    write_tensors(path, {**tensors, name: tensors[name] + 1.0})
    code, out, _ = tlf("repro", run)
    assert code == 1
    words = " ".join(out.split())
    assert "different: all metrics are equal" in words
    assert "FROZEN weights conv1" in words
    assert "FROZEN weights differ: nothing that was trained can have done that" in words
    assert "likely cause: `model.safetensors` was changed after the run" in words


def test_what_is_no_run_and_what_cannot_start_end_with_2(tlf, run, tmp_path):
    code, out, err = tlf("repro", tmp_path)
    assert (code, out) == (2, "")
    assert "is no run directory" in err
    shutil.rmtree(tmp_path / "images")
    code, out, err = tlf("repro", run)
    assert (code, out) == (2, "")
    assert "cannot be run again here" in err
    assert "hint: " in err


@pytest.mark.slow
def test_ctrl_c_ends_it_with_130_and_leaves_nothing(run, start_tlf, tmp_path, monkeypatch):
    spec = json.loads((run / "spec.json").read_text())
    spec["training"]["epochs"] = 500
    (run / "spec.json").write_text(json.dumps(spec))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = start_tlf("repro", run)
    for line in process.stderr:
        if line.startswith("epoch 1/"):
            break
    assert list(temporary.glob("tlf-*"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "stopped" in err
    assert "kept in" not in err
    assert not list(temporary.glob("tlf-*"))
    assert Path(run).is_dir()
