"""Whole runs of a small network on tiny photographs."""

import copy
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import tlf
from tlf.engine.listener import Listener
from tlf.errors import DataError, OutputError, RunError, RunInterrupted


@pytest.fixture
def run(small_spec):
    """Run the small spec, changed as a test needs it."""

    def run(**changes):
        return tlf.run({**copy.deepcopy(small_spec), **changes})

    return run


def weights_file(tmp_path, name="shufflenet_v2_x0_5"):
    import torchvision
    from safetensors.torch import save_file

    torch.manual_seed(7)
    state = torchvision.models.get_model(name).state_dict()
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    return path, state


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_leaves_everything_that_was_asked_for(run, with_pages):
    finished = run()
    assert {path.name for path in finished.directory.iterdir()} == {
        "environment.json",
        "log.txt",
        "metrics.jsonl",
        "model.json",
        "model.safetensors",
        "plan.json",
        "predictions.jsonl",
        "report.html",
        "report.json",
        "spec.json",
        "splits.json",
        "timings.jsonl",
    }
    assert json.loads((finished.directory / "report.json").read_text()) == finished.report


def test_the_report_says_what_was_measured_on_what_and_what_it_cost(run, same_costs):
    report = run().report
    assert report["strategy"]["name"] == "feature-extraction"
    assert (report["metrics_on"], report["weights_from"]) == ("validation", "last epoch")
    assert (report["images_measured"], report["num_classes"], report["seed"]) == (10, 2, 0)
    assert set(report["metrics"]) == {"accuracy", "balanced-accuracy", "macro-f1", "loss"}
    # Two views of 24 images to train on, and 10 to evaluate, each once; every image decoded once.
    assert report["images_through_backbone"] == 2 * 24 + 10
    assert report["images_decoded"] == 34
    (step,) = report["steps"]
    assert (step["trainable_parameters"], step["epochs"]) == (1024 * 2 + 2, 2)
    low, high = report["accuracy_interval"]
    assert low <= report["metrics"]["accuracy"] <= high
    timings = report["timings"]
    kinds = ("prepare", "probe", "data", "prefix", "train", "evaluate", "contract")
    assert timings.keys() == {f"{kind}_seconds" for kind in (*kinds, "total", "process")}
    assert all(timings[f"{kind}_seconds"] > 0 for kind in kinds)
    assert sum(timings[f"{kind}_seconds"] for kind in kinds) <= timings["total_seconds"]
    assert timings["total_seconds"] <= timings["process_seconds"]


def test_the_report_says_how_each_class_does_and_what_there_was_of_it(run):
    finished = run()
    predictions = lines(finished.directory / "predictions.jsonl")
    found = finished.report["classification"]
    assert found["classes"] == ["blue", "red"]
    for label, predicted, count in found["confusion"]:
        pair = (found["classes"][label], found["classes"][predicted])
        assert sum((one["label"], one["predicted"]) == pair for one in predictions) == count
    assert sum(count for *_, count in found["confusion"]) == 10
    assert [row["images"] for row in found["per_class"]] == [5, 5]
    assert finished.report["data"] == {
        "train": {"images": 24, "classes": {"blue": 12, "red": 12}},
        "validation": {"images": 10, "classes": {"blue": 5, "red": 5}},
    }


def test_each_prediction_names_the_content_that_it_is_of(run, photographs):
    for one in lines(run().directory / "predictions.jsonl"):
        file = photographs / one["id"]
        assert one["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(("folder", "said"), [("plain", True), (os.fsdecode(b"no\xff"), False)])
def test_the_folder_that_relative_paths_start_from_is_written_down(
    small_spec, tmp_path, monkeypatch, folder, said
):
    place = tmp_path / folder
    place.mkdir()
    monkeypatch.chdir(place)
    finished = tlf.run({**small_spec, "training": {"epochs": 1}})
    environment = json.loads((finished.directory / "environment.json").read_text())
    assert environment["folder"] == (str(place) if said else None)


def test_without_a_cache_everything_is_computed_in_every_epoch(run):
    report = run(cache={"mode": "off"}).report
    assert report["images_through_backbone"] == 2 * (24 + 10)
    (step,) = report["steps"]
    assert (step["cache"]["level"], step["cache"]["rows_found"]) == ("none", 0)
    assert step["cache"]["rows_computed"] == 2 * (24 + 10)


def test_a_network_that_learns_sees_every_image_in_every_epoch(run):
    report = run(strategy="full-fine-tuning").report
    assert report["images_through_backbone"] == 2 * (24 + 10)


def test_the_report_says_of_each_step_what_it_kept_and_found(run, same_costs):
    finished = run()
    (step,) = finished.report["steps"]
    cache = step["cache"]
    assert (cache["level"], cache["rows_computed"]) == ("features", 0)
    assert cache["rows_found"] == 2 * (24 + 10)
    assert cache["why"]
    plan = json.loads((finished.directory / "plan.json").read_text())
    row = math.prod(plan["stages"][cache["cut"] - 1]["output_shape"]) * 4
    assert cache["bytes"] == (2 * 24 + 10) * row
    assert {key: cache[key] for key in plan["steps"][0]["cache"]} == plan["steps"][0]["cache"]


@pytest.mark.parametrize("views", ["none", 2, "every-epoch"])
def test_a_second_run_with_another_seed_and_rate_finds_everything_and_decodes_nothing(
    run, tmp_path, same_costs, views
):
    path, _ = weights_file(tmp_path)
    backbone = {"name": "torchvision/shufflenet_v2_x0_5", "weights": str(path)}
    training = {"epochs": 2, "batch_size": 8, "views": views}
    first, second = (
        run(backbone=backbone, training={**training, "learning_rate": rate}, seed=seed).report
        for seed, rate in ((0, 1e-3), (1, 3e-3))
    )
    rows = 34 if views == "none" else 2 * 24 + 10
    assert (first["images_decoded"], first["images_through_backbone"]) == (34, rows)
    assert (second["images_decoded"], second["images_through_backbone"]) == (0, 0)
    (step,) = second["steps"]
    assert (step["cache"]["rows_found"], step["cache"]["rows_computed"]) == (2 * 34, 0)


def test_the_metrics_are_those_of_the_predictions(run):
    finished = run()
    predictions = lines(finished.directory / "predictions.jsonl")
    right = sum(line["label"] == line["predicted"] for line in predictions)
    assert finished.metrics["accuracy"] == right / len(predictions) == right / 10
    for line in predictions:
        assert sum(line["probabilities"].values()) == pytest.approx(1.0)
        assert max(line["probabilities"], key=line["probabilities"].get) == line["predicted"]


def test_the_last_line_of_the_metrics_is_what_is_reported(run):
    finished = run()
    written = lines(finished.directory / "metrics.jsonl")
    assert [line["epoch"] for line in written] == [1, 2]
    assert written[-1]["validation"] == finished.metrics


def test_a_second_run_gets_a_name_of_its_own(run):
    first = run()
    kept = {path.name: path.read_bytes() for path in first.directory.iterdir()}
    second = run()
    assert (first.directory.name, second.directory.name) == ("small", "small-2")
    assert {path.name: path.read_bytes() for path in first.directory.iterdir()} == kept


@pytest.mark.parametrize("strategy", ["feature-extraction", "full-fine-tuning", "from-scratch"])
def test_the_same_spec_and_seed_give_the_same_bytes_whatever_the_number_of_workers(run, strategy):
    results = []
    for workers in (0, 1, 3):
        torch.manual_seed(workers)  # what the process drew before changes nothing
        training = {"epochs": 2, "batch_size": 8, "workers": workers}
        finished = run(strategy=strategy, training=training)
        results.append(
            (
                (finished.directory / "model.safetensors").read_bytes(),
                (finished.directory / "metrics.jsonl").read_bytes(),
                (finished.directory / "predictions.jsonl").read_bytes(),
            )
        )
    assert results[0] == results[1] == results[2]


def test_another_seed_gives_another_head(run):
    heads = [
        load_file(run(seed=seed).directory / "model.safetensors")["head.linear.weight"]
        for seed in (0, 1)
    ]
    assert not heads[0].equal(heads[1])


def test_the_generator_of_the_process_is_left_alone(run):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run()
    assert torch.rand(3).equal(expected)


def test_feature_extraction_leaves_every_byte_of_the_backbone_as_it_was(run, tmp_path):
    path, state = weights_file(tmp_path)
    backbone = {"name": "torchvision/shufflenet_v2_x0_5", "weights": str(path)}
    after = load_file(run(backbone=backbone).directory / "model.safetensors")
    names = [name for name in state if not name.startswith("fc.")]
    assert len(names) > 100
    assert all(after[f"backbone.{name}"].equal(state[name]) for name in names)


@pytest.mark.parametrize("norms", ["frozen", "learn"])
def test_full_fine_tuning_moves_every_layer_and_its_norms_if_they_are_to_learn(
    run, tmp_path, norms
):
    path, state = weights_file(tmp_path)
    backbone = {"name": "torchvision/shufflenet_v2_x0_5", "weights": str(path)}
    finished = run(
        backbone=backbone, strategy={"name": "full-fine-tuning", "options": {"norms": norms}}
    )
    after = load_file(finished.directory / "model.safetensors")
    names = [name for name in state if not name.startswith("fc.")]
    moved = {name for name in names if not after[f"backbone.{name}"].equal(state[name])}
    layers = {name for name in names if state[name].ndim == 4}
    assert len(layers) > 50
    assert moved == (layers if norms == "frozen" else set(names))


def test_full_fine_tuning_moves_the_backbone_more_slowly_than_the_head(run):
    finished = run(strategy="full-fine-tuning")
    (step,) = json.loads((finished.directory / "plan.json").read_text())["steps"]
    assert step["rates"]["conv1.0:weight"] == pytest.approx(0.03 * step["rates"]["head:weight"])


def test_from_scratch_ignores_the_weights(run, tmp_path):
    path, _ = weights_file(tmp_path)
    named = {"name": "torchvision/shufflenet_v2_x0_5", "weights": str(path)}
    unnamed = {"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"}
    states = [
        load_file(run(backbone=backbone, strategy="from-scratch").directory / "model.safetensors")
        for backbone in (named, unnamed)
    ]
    assert all(value.equal(states[1][name]) for name, value in states[0].items())


@pytest.mark.slow
def test_predictions_in_a_fresh_process_are_those_of_the_run(run, photographs):
    finished = run(strategy="full-fine-tuning")
    script = (
        "import sys, json, tlf\n"
        "run, *images = sys.argv[1:]\n"
        "found = tlf.load(run).predict(images)\n"
        "print(json.dumps([dict(p.probabilities) for p in found]))\n"
    )
    written = lines(finished.directory / "predictions.jsonl")
    images = [str(photographs / line["id"]) for line in written]
    done = subprocess.run(
        [sys.executable, "-c", script, str(finished.directory), *images],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == [line["probabilities"] for line in written]


def test_a_test_split_is_what_is_reported(run, photographs, small_spec):
    data = copy.deepcopy(small_spec["data"])
    data["options"]["test"] = data["options"]["validation"]
    data["options"]["validation"] = data["options"]["train"]
    data["options"]["train"] = data["options"]["test"]
    with pytest.raises(DataError, match="same folder"):
        run(data=data)
    whole = {"folder": str(photographs / "train"), "test_fraction": 0.25}
    finished = run(data={"name": "image-folder", "options": whole})
    assert finished.report["metrics_on"] == "test"
    splits = json.loads((finished.directory / "splits.json").read_text())
    written = [line["id"] for line in lines(finished.directory / "predictions.jsonl")]
    assert written == splits["test"]
    assert finished.report["images_measured"] == len(written) == 6


def test_an_image_that_cannot_be_read_stops_the_run_before_anything_is_written(
    run, photographs, small_spec, tmp_path
):
    import shutil

    shutil.copytree(photographs, tmp_path / "copy")
    broken = tmp_path / "copy" / "train" / "red" / "00.png"
    broken.write_bytes(broken.read_bytes()[:100])
    options = {"train": str(tmp_path / "copy/train"), "validation": str(tmp_path / "copy/val")}
    with pytest.raises(DataError, match=r"1 of 34 images cannot be read\n  `train/red/00.png`"):
        run(data={"name": "image-folder", "options": options})
    assert not Path(small_spec["output"]).exists()
    data = {"name": "image-folder", "options": options, "unreadable": "skip-and-report"}
    report = run(data=data).report
    assert [item["id"] for item in report["skipped"]] == ["train/red/00.png"]
    assert report["images"] == {"train": 23, "validation": 10}


def test_images_that_are_left_out_are_not_in_the_plan(photographs, small_spec, tmp_path):
    import shutil

    shutil.copytree(photographs, tmp_path / "copy")
    for index in range(9):
        (tmp_path / "copy" / "train" / "red" / f"{index:02d}.png").write_bytes(b"no image")
    options = {"train": str(tmp_path / "copy/train"), "validation": str(tmp_path / "copy/val")}
    data = {"name": "image-folder", "options": options, "unreadable": "skip-and-report"}
    finished = tlf.run({**small_spec, "data": data})
    plan = json.loads((finished.directory / "plan.json").read_text())
    assert plan["data"]["images"] == {"train": 15, "validation": 10}
    assert plan["batches_per_epoch"] == 2
    log = (finished.directory / "log.txt").read_text()
    assert "warning: left out `train/red/00.png` of train" in log


def test_running_out_of_memory_in_training_names_a_batch_size_to_try(run, monkeypatch):
    def fail(trainer, epoch):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("tlf.engine.loop.Trainer.train_epoch", fail)
    with pytest.raises(RunError, match="with a batch of 8 images") as caught:
        run()
    assert caught.value.hint == "try `--set training.batch_size=4`"


def test_files_of_a_run_are_as_open_as_any_new_file(run, tmp_path):
    (tmp_path / "new").touch()
    finished = run(training={"epochs": 2}, checkpoint={"every_seconds": 1e-9})
    wanted = (tmp_path / "new").stat().st_mode
    files = [path for path in finished.directory.rglob("*") if path.is_file()]
    assert {path.stat().st_mode for path in files} == {wanted}
    assert not [path for path in files if path.name.startswith(".")]


def test_a_loss_that_is_no_number_fails_the_run_with_its_place(run, small_spec):
    training = {"epochs": 2, "batch_size": 8, "learning_rate": 100.0, "clip_norm": None}
    training |= {"optimizer": {"name": "sgd"}, "warmup": 0.0}
    with pytest.raises(RunError, match=r"the loss became|gives no finite numbers") as caught:
        run(strategy="from-scratch", training=training)
    assert "learning_rate" in caught.value.hint
    (directory,) = Path(small_spec["output"]).iterdir()
    assert f"error: {caught.value.message}" in (directory / "log.txt").read_text()
    assert not (directory / "report.json").exists()


class Stopper(Listener):
    """Presses Ctrl-C at some point of the run."""

    def __init__(self, at):
        self._at = at

    def loading(self, done, total):
        if self._at == "loading":
            raise KeyboardInterrupt

    def batch_finished(self, epoch, images, loss):
        if self._at == epoch:
            raise KeyboardInterrupt


def test_a_run_that_is_stopped_says_what_it_kept(small_spec):
    with pytest.raises(RunInterrupted, match="stopped after 1 of 2 epochs") as caught:
        tlf.run(small_spec, listener=Stopper(at=2))
    (directory,) = Path(small_spec["output"]).iterdir()
    assert str(directory) in caught.value.hint
    assert len(lines(directory / "metrics.jsonl")) == 1
    with pytest.raises(OutputError, match="holds no finished run"):
        tlf.load(directory)


def test_a_run_that_is_stopped_while_it_reads_leaves_nothing(small_spec):
    with pytest.raises(RunInterrupted, match="nothing was written"):
        tlf.run(small_spec, listener=Stopper(at="loading"))
    assert not Path(small_spec["output"]).exists()


def test_an_output_directory_that_exists_is_refused_before_anything_is_read(small_spec, tmp_path):
    with pytest.raises(OutputError, match="exists already"):
        tlf.run(small_spec, output_directory=tmp_path)


def test_a_place_that_cannot_be_written_to_is_an_error(small_spec, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written to"):
        tlf.run({**small_spec, "output": str(tmp_path / "file" / "runs")})


def test_bfloat16_trains_too_and_the_artifact_remembers_it(run):
    device = {"name": "cpu", "options": {"precision": "bfloat16"}}
    finished = run(strategy="full-fine-tuning", device=device)
    model = json.loads((finished.directory / "model.json").read_text())
    assert model["device"]["options"]["precision"] == finished.report["precision"] == "bfloat16"
    state = load_file(finished.directory / "model.safetensors")
    assert {value.dtype for value in state.values()} <= {torch.float32, torch.int64}


def test_the_environment_names_what_took_part(run):
    finished = run()
    found = json.loads((finished.directory / "environment.json").read_text())
    assert {part["kind"] for part in found["plugins"]} == {
        "backbone-family",
        "data-source",
        "device",
        "strategy",
        "transform",
    }
    for part in found["plugins"]:
        assert part["distribution"] == "tlf"
        assert len(part["code_digest"]) == 64
    assert torch.__version__.startswith(found["libraries"]["torch"])
    assert found["data"]["train"]["images"] == 24


def test_the_run_predicts(run, photographs):
    finished = run()
    image = photographs / "val" / "red" / "00.png"
    (prediction,) = finished.predict([Image.open(image)], top=1)
    assert prediction.label in {"red", "blue"}
    assert list(prediction.probabilities) == [prediction.label]


def test_an_output_whose_name_is_no_utf_8_is_as_good_as_any(small_spec, tmp_path, photographs):
    import os

    output = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    finished = tlf.run(small_spec, output_directory=output / "run")
    (prediction,) = tlf.load(finished.directory).predict([photographs / "val/red/00.png"])
    assert prediction.label in {"red", "blue"}
