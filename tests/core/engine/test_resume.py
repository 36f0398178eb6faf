"""A run that was stopped or killed goes on, to the same bytes as if it had not been."""

from __future__ import annotations

import copy
import json
import shutil

import pytest
import torch
from PIL import Image

import tlf
from tests.small import Dies, spec_of
from tlf.engine.directory import RunDirectory
from tlf.engine.listener import Listener
from tlf.errors import OutputError, RunInterrupted, RunTerminated, TlfError, UsageError

#: What must not depend on whether a run was stopped.
SAME = ("metrics.jsonl", "model.safetensors", "model.json", "predictions.jsonl")


class Asks(Listener):
    """Asks a run to stop after so many batches."""

    def __init__(self, batches, kind=RunInterrupted):
        self.left = batches
        self.kind = kind
        self.checkpoints = []

    def batch_finished(self, epoch, images, loss):
        self.left -= 1

    def asked_to_stop(self):
        return self.kind if self.left <= 0 else None

    def checkpoint_saved(self, path):
        self.checkpoints.append(path.name)


#: Three epochs of three batches, of a whole network with dropout, saved after every batch.
SECTIONS = {
    "backbone": {"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"},
    "strategy": "full-fine-tuning",
    "head": {"name": "linear", "options": {"dropout": 0.3}},
    "training": {"epochs": 3, "batch_size": 8},
    "checkpoint": {"every_seconds": 1e-9},
}


@pytest.fixture
def spec(small_spec, same_costs):
    """A spec of these sections, which a test may change."""
    return {**copy.deepcopy(small_spec), **copy.deepcopy(SECTIONS)}


@pytest.fixture(scope="module")
def never_stopped(photographs, tmp_path_factory):
    """The directory of the run that is never stopped, without its page."""
    output = tmp_path_factory.mktemp("runs")
    directory = tlf.run(spec_of(photographs, output=str(output), **SECTIONS)).directory
    (directory / "report.html").unlink()
    return directory


@pytest.fixture
def whole(never_stopped, tmp_path):
    """A copy of it, for a test of its own."""
    return shutil.copytree(never_stopped, tmp_path / "whole")


def die(spec, batches, tmp_path):
    directory = tmp_path / "stopped"
    with pytest.raises(RunInterrupted):
        tlf.run(spec, output_directory=directory, listener=Dies(batches))
    return directory


def assert_same(one, other):
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    "batches",
    [pytest.param(1, marks=pytest.mark.slow), 3, 4, pytest.param(9, marks=pytest.mark.slow)],
)
def test_a_run_that_died_goes_on_to_the_same_bytes(spec, whole, tmp_path, batches):
    directory = die(spec, batches, tmp_path)
    finished = tlf.resume(directory)
    assert finished.directory == directory
    assert finished.report["resumed"] == 1
    assert_same(directory, whole)


@pytest.mark.parametrize(
    "batches",
    [pytest.param(1, marks=pytest.mark.slow), 3, 4, pytest.param(9, marks=pytest.mark.slow)],
)
def test_a_run_that_is_asked_to_stop_saves_its_state_and_goes_on(spec, whole, tmp_path, batches):
    spec["checkpoint"] = {"every_seconds": 3600}
    listener, directory = Asks(batches), tmp_path / "stopped"
    with pytest.raises(RunInterrupted, match="of 3 epochs") as caught:
        tlf.run(spec, output_directory=directory, listener=listener)
    assert caught.value.hint == f"to go on: tlf run --resume {directory}"
    assert listener.checkpoints == ["000001"]
    assert tlf.resume(directory).report["resumed"] == 1
    assert_same(directory, whole)


def test_a_run_may_be_stopped_again_and_again(spec, whole, tmp_path):
    directory = die(spec, 2, tmp_path)
    for _ in range(3):
        with pytest.raises(RunInterrupted):
            tlf.resume(directory, listener=Dies(2))
    assert tlf.resume(directory).report["resumed"] == 4
    assert_same(directory, whole)


@pytest.mark.parametrize(
    "strategy",
    [
        {"name": "gradual-unfreezing", "options": {}},
        pytest.param("l2-sp", marks=pytest.mark.slow),
        pytest.param("lp-ft", marks=pytest.mark.slow),
        pytest.param("robust", marks=pytest.mark.slow),
        pytest.param("surgical", marks=pytest.mark.slow),
        pytest.param("norm-tuning", marks=pytest.mark.slow),
        pytest.param(
            {"name": "bias-tuning", "options": {"norms": "learn"}}, marks=pytest.mark.slow
        ),
        pytest.param("from-scratch", marks=pytest.mark.slow),
        pytest.param("feature-extraction", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_every_kind_of_step_goes_on(spec, tmp_path, strategy):
    spec["strategy"] = strategy
    if strategy == "surgical":
        # What follows what was picked is picked by watching, too.
        spec["training"]["epochs"] = 4
    whole = tlf.run(spec, output_directory=tmp_path / "whole").directory
    directory = die(spec, 5, tmp_path)
    with pytest.raises(RunInterrupted):
        tlf.resume(directory, listener=Dies(3))
    tlf.resume(directory)
    assert_same(directory, whole)


@pytest.mark.slow
def test_the_scale_of_float16_goes_on_too(spec, tmp_path, run_in_half):
    whole = tlf.run(spec, output_directory=tmp_path / "whole").directory
    directory = die(spec, 4, tmp_path)
    finished = tlf.resume(directory)
    assert finished.report["precision"] == "float16"
    assert_same(directory, whole)


@pytest.mark.slow
def test_numbers_of_the_report_count_what_was_done_before(spec, tmp_path):
    spec["cache"] = {"mode": "off"}
    whole = tlf.run(spec, output_directory=tmp_path / "whole").directory
    directory = die(spec, 4, tmp_path)
    finished = tlf.resume(directory)
    told = json.loads((whole / "report.json").read_text())
    assert finished.report["metrics"] == told["metrics"]
    assert finished.report["steps"][0]["accuracy"] == told["steps"][0]["accuracy"]
    # The images were read once more.
    assert finished.report["images_decoded"] > told["images_decoded"]
    assert finished.report["timings"]["total_seconds"] > finished.report["timings"]["train_seconds"]


def test_where_a_run_goes_on_is_said(spec, tmp_path):
    directory = die(spec, 5, tmp_path)
    tlf.resume(directory)
    assert "goes on in step all at epoch 2, batch 2" in (directory / "log.txt").read_text()


def test_a_run_without_a_checkpoint_begins_anew_in_its_directory(spec, whole, tmp_path):
    spec["checkpoint"] = {"every_seconds": 3600}
    directory = die(spec, 4, tmp_path)
    assert not (directory / "checkpoints").exists()
    assert len((directory / "metrics.jsonl").read_text().splitlines()) == 1
    tlf.resume(directory)
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes()


def test_a_finished_run_is_left_as_it_is_but_for_a_page_that_is_missing(whole, with_pages):
    before = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    assert tlf.resume(whole).directory == whole
    after = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    assert after.keys() - before.keys() == {whole / "report.html"}
    assert before.items() <= after.items()


def test_checkpoints_are_removed_when_the_run_is_finished(whole):
    assert not (whole / "checkpoints").exists()
    assert not list(whole.glob(".*"))


def test_only_the_last_two_checkpoints_are_kept(spec, tmp_path):
    directory = die(spec, 5, tmp_path)
    # One before the first batch, and one after each that was followed by another.
    found = sorted(path.name for path in (directory / "checkpoints").iterdir())
    assert len(found) == 2
    assert int(found[1]) == int(found[0]) + 1


def test_the_lines_that_were_written_after_the_checkpoint_are_cut_off(spec, whole, tmp_path):
    directory = die(spec, 4, tmp_path)
    with (directory / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 7}\n{"half a li')
    tlf.resume(directory)
    assert_same(directory, whole)
    assert len((directory / "timings.jsonl").read_text().splitlines()) == 3


def heard(resume):
    """Return the warnings of a run, and the run."""

    class Hears(Listener):
        def __init__(self):
            self.said = []

        def warning(self, message):
            self.said.append(message)

    listener = Hears()
    return resume(listener), listener.said


@pytest.mark.parametrize(
    ("name", "harm"),
    [("model.safetensors", "flipped"), ("state.json", "cut"), ("SHA256SUMS", "gone")],
)
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(spec, whole, tmp_path, name, harm):
    directory = die(spec, 5, tmp_path)
    last = max((directory / "checkpoints").iterdir())
    damage(last / name, harm)
    _, said = heard(lambda listener: tlf.resume(directory, listener=listener))
    assert [line for line in said if str(last) in line and "is damaged" in line]
    assert_same(directory, whole)


def damage(path, harm):
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def test_if_every_checkpoint_is_damaged_the_run_does_not_silently_begin_anew(spec, tmp_path):
    directory = die(spec, 5, tmp_path)
    for path in (directory / "checkpoints").iterdir():
        damage(path / "optimizer.safetensors", "flipped")
    before = (directory / "metrics.jsonl").read_bytes()
    with pytest.raises(OutputError, match=r"every checkpoint in .* is damaged") as caught:
        tlf.resume(directory)
    assert (directory / "metrics.jsonl").read_bytes() == before
    assert "to begin the run from its start" in caught.value.hint


def test_metrics_that_somebody_has_changed_are_not_gone_on_with(spec, tmp_path):
    directory = die(spec, 5, tmp_path)
    text = (directory / "metrics.jsonl").read_text()
    (directory / "metrics.jsonl").write_text(text.replace("0.", "1.", 1))
    with pytest.raises(OutputError, match=r"every checkpoint in .* is damaged"):
        tlf.resume(directory)


def test_another_spec_is_refused_and_the_difference_shown(spec, tmp_path):
    directory = die(spec, 2, tmp_path)
    other = copy.deepcopy(spec)
    other["training"]["epochs"] = 4
    other["seed"] = 1
    del other["head"]
    with pytest.raises(UsageError, match="cannot go on: it began with something else") as caught:
        tlf.resume(directory, spec=other)
    assert caught.value.message.splitlines()[1:] == [
        "  training.epochs: `3` then, `4` now",
        '  head: `{"name": "linear", "options": {"dropout": 0.3}}` then, nothing now',
        "  seed: nothing then, `1` now",
    ]
    with pytest.raises(UsageError, match=r"training.epochs: `3` then, `4` now"):
        tlf.resume(directory, overrides=["training.epochs=4"])


def test_a_spec_that_was_changed_in_the_run_directory_is_refused(spec, tmp_path):
    directory = die(spec, 2, tmp_path)
    path = directory / "spec.json"
    changed = {**json.loads(path.read_text()), "seed": 4}
    path.write_text(json.dumps(changed))
    with pytest.raises(UsageError, match=r"  seed: `0` then, `4` now"):
        tlf.resume(directory)


def test_the_same_spec_may_be_given_again(spec, whole, tmp_path):
    directory = die(spec, 4, tmp_path)
    tlf.resume(directory, spec=spec, overrides=["training.epochs=3"])
    assert_same(directory, whole)


@pytest.fixture
def own_photographs(spec, photographs, tmp_path):
    """A copy of the photographs, which the spec names and a test may change."""
    folder = tmp_path / "own"
    shutil.copytree(photographs, folder)
    spec["data"]["options"] = {"train": str(folder / "train"), "validation": str(folder / "val")}
    return folder


def test_another_image_is_refused(spec, own_photographs, tmp_path):
    directory = die(spec, 4, tmp_path)
    path = own_photographs / "train" / "red" / "00.png"
    Image.new("RGB", (40, 40), (1, 2, 3)).save(path)
    with pytest.raises(UsageError, match=r"the images of `train`: 24 images \w+ then, 24 images"):
        tlf.resume(directory)
    assert (directory / "checkpoints").exists()


def test_images_that_change_places_are_refused(spec, own_photographs, tmp_path):
    directory = die(spec, 4, tmp_path)
    red, blue = (own_photographs / "train" / name / "00.png" for name in ("red", "blue"))
    red.rename(own_photographs / "red.png")
    blue.rename(red)
    (own_photographs / "red.png").rename(blue)
    with pytest.raises(UsageError, match=r"of `train`: "):
        tlf.resume(directory)


def test_images_that_are_called_otherwise_are_refused(spec, own_photographs, tmp_path):
    directory = die(spec, 4, tmp_path)
    last = own_photographs / "train" / "blue" / "11.png"
    last.rename(last.with_name("12.png"))
    with pytest.raises(UsageError, match="the names or labels of the images of `train`"):
        tlf.resume(directory)


def test_other_weights_are_refused(spec, whole, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(whole / "model.safetensors")
    backbone = {
        name.removeprefix("backbone."): tensor
        for name, tensor in state.items()
        if name.startswith("backbone.")
    }
    path = tmp_path / "weights.safetensors"
    save_file(backbone, path)
    spec["backbone"]["weights"] = str(path)
    directory = die(spec, 4, tmp_path)
    save_file({name: tensor + 1 for name, tensor in backbone.items()}, path)
    with pytest.raises(UsageError, match=r"the pretrained weights: \w{12} then, \w{12} now"):
        tlf.resume(directory)


def test_another_plugin_is_refused_and_another_library_is_told(spec, whole, tmp_path):
    directory = die(spec, 4, tmp_path)
    path = directory / "environment.json"
    environment = json.loads(path.read_text())
    environment["libraries"]["numpy"] = "0.1"
    path.write_text(json.dumps(environment))
    copied = tmp_path / "copied"
    shutil.copytree(directory, copied)
    _, said = heard(lambda listener: tlf.resume(directory, listener=listener))
    assert len([line for line in said if line.startswith("numpy: 0.1 then,")]) == 1
    assert_same(directory, whole)

    environment["plugins"][0]["code_digest"] = "0" * 64
    (copied / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(UsageError, match=r"the code of the .* then, .* now"):
        tlf.resume(copied)


def test_another_precision_is_refused(spec, tmp_path, request):
    directory = die(spec, 4, tmp_path)
    request.getfixturevalue("run_in_half")
    with pytest.raises(UsageError, match="the device's precision: float32 then, float16 now"):
        tlf.resume(directory)


def test_another_number_of_threads_is_told(spec, tmp_path, set_threads):
    directory = die(spec, 4, tmp_path)
    set_threads(torch.get_num_threads() + 1)
    _, said = heard(lambda listener: tlf.resume(directory, listener=listener))
    assert [line for line in said if line.startswith("threads: ")]


def test_a_run_that_another_process_is_at_work_on_is_left_alone(spec, tmp_path):
    directory = die(spec, 4, tmp_path)
    with (
        RunDirectory.reopen(directory),
        pytest.raises(OutputError, match="another process is at work on the run"),
    ):
        tlf.resume(directory)
    tlf.resume(directory)


def test_a_run_that_is_terminated_while_it_reads_stays_and_begins_again(spec, whole, tmp_path):
    from tlf.errors import Terminated

    class Terminates(Listener):
        def loading(self, done, total):
            if done == 5:
                raise Terminated

    directory = tmp_path / "stopped"
    with pytest.raises(RunTerminated, match="stopped after 0 of 3 epochs") as caught:
        tlf.run(spec, output_directory=directory, listener=Terminates())
    assert caught.value.exit_code == 143
    assert (directory / "spec.json").is_file()
    tlf.resume(directory)
    assert_same(directory, whole)


def test_what_is_no_run_directory_is_said_to_be_none(tmp_path):
    with pytest.raises(TlfError, match="does not exist"):
        tlf.resume(tmp_path / "nothing")
    with pytest.raises(TlfError, match="is no run directory"):
        tlf.resume(tmp_path)


def test_relative_paths_start_where_they_did(spec, photographs, tmp_path, monkeypatch):
    folder = photographs.name
    spec["data"]["options"] = {"train": f"{folder}/train", "validation": f"{folder}/val"}
    path = photographs.parent / "spec.json"
    path.write_text(json.dumps(spec))
    directory = die(path, 4, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert tlf.resume(directory.name).report["resumed"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("batches", [4, 10])
def test_early_stopping_and_the_best_weights_are_the_same_after_a_stop(spec, tmp_path, batches):
    spec["strategy"] = "gradual-unfreezing"
    spec["training"] = {"epochs": 6, "batch_size": 8, "patience": 1, "keep": "best"}
    whole = tlf.run(spec, output_directory=tmp_path / "whole")
    resumed = tlf.resume(die(spec, batches, tmp_path))
    assert_same(resumed.directory, whole.directory)
    assert resumed.report["kept"] == whole.report["kept"]
