"""Distillation: a teacher's probabilities, of the same views, computed once and kept."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import tlf
from tests.small import Dies, spec_of, write_photographs
from tlf.data import batch_order
from tlf.engine.features import Features
from tlf.engine.losses import Loss
from tlf.engine.network import inference_of
from tlf.engine.teacher import SeenByTeacher
from tlf.errors import OutputError, RunInterrupted, SpecError, TlfError, UsageError

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.3, -2.0]])
TAUGHT = torch.tensor([[1.0, 1.0, -3.0], [-2.0, 0.0, 4.0]])
LABELS = torch.tensor([0, 2])


@pytest.fixture(scope="module")
def taught_by(tmp_path_factory, photographs):
    """The directory of a finished run, whose images were normalised in another way."""
    spec = spec_of(
        photographs,
        backbone={"name": "torchvision/mobilenet_v3_small", "weights": "none"},
        transforms={"name": "standard", "options": {"size": 32, "resize": 36, "mean": 0.5}},
        strategy={"name": "probe"},
        training={"epochs": 1, "views": "none"},
        output=str(tmp_path_factory.mktemp("runs")),
    )
    return tlf.run(spec).directory


@pytest.fixture
def run(small_spec, same_costs):
    def run(teacher, strategy="feature-extraction", listener=None, directory=None, **training):
        distillation = {"teacher": teacher, "temperature": 3.0, "weight": 0.7}
        training = {"epochs": 2, "batch_size": 8, "distillation": distillation, **training}
        spec = {
            **copy.deepcopy(small_spec),
            "strategy": strategy,
            "training": training,
            "checkpoint": {"every_seconds": 1e-9},
        }
        return tlf.run(spec, output_directory=directory, listener=listener)

    return run


def lines(finished):
    text = (finished.directory / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def head(finished):
    return load_file(finished.directory / "model.safetensors")["head.linear.weight"]


def test_the_loss_is_that_of_the_labels_and_the_divergence_from_the_teacher():
    total = 0.0
    for logits, taught in zip(LOGITS.double(), TAUGHT.double(), strict=True):
        student, teacher = (one.div(3.0).exp() for one in (logits, taught))
        student, teacher = student / student.sum(), teacher / teacher.sum()
        total += float((teacher * (teacher / student).log()).sum())
    expected = 0.3 * float(Loss(0.1)(LOGITS, LABELS)) + 0.7 * 9.0 * total / 2
    loss = Loss(0.1, teaching=0.7, temperature=3.0)
    assert float(loss(LOGITS, LABELS, TAUGHT)) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(loss(LOGITS, LABELS), Loss(0.1)(LOGITS, LABELS))


def test_what_is_taught_is_what_the_teachers_run_predicts(run, taught_by, photographs, monkeypatch):
    taught = []
    of_teacher = Loss._of_teacher

    def recorded(loss, logits, of):
        taught.append(of.softmax(dim=1))
        return of_teacher(loss, logits, of)

    monkeypatch.setattr(Loss, "_of_teacher", recorded)
    finished = run(str(taught_by), epochs=1, views="none")
    order = json.loads((finished.directory / "splits.json").read_text())["train"]
    places = [place for batch in batch_order(len(order), 8, 0, 0) for place in batch]
    paths = [photographs / order[place] for place in places]
    predicted = tlf.load(taught_by).predict(paths)
    expected = [[one.probabilities[name] for name in ("blue", "red")] for one in predicted]
    assert torch.allclose(torch.cat(taught), torch.tensor(expected), atol=1e-4)
    # It is no teacher that says the same of all.
    assert torch.cat(taught).std(dim=0).min() > 0.1


def test_what_the_teacher_says_is_computed_once_for_each_view_of_an_image(run, taught_by):
    first = run(str(taught_by), views=1, epochs=3)
    images = first.report["images"]["train"]
    assert first.report["teacher"]["rows_computed"] == images
    assert first.report["teacher"]["rows_found"] == 2 * images
    again = run(str(taught_by), views=1, epochs=3)
    assert again.report["teacher"]["rows_computed"] == 0
    assert lines(again) == lines(first)
    assert head(again).equal(head(first))


def test_a_cache_changes_nothing_of_what_is_learned_from_a_teacher(run, taught_by, small_spec):
    kept = run(str(taught_by))
    small_spec["cache"] = {"mode": "off"}
    computed = run(str(taught_by))
    assert computed.report["teacher"]["rows_found"] == 0
    assert lines(computed) == lines(kept)
    assert head(computed).equal(head(kept))


def test_the_teacher_sees_the_view_in_its_own_size_and_normalised_its_own_way(job, model):
    inference = inference_of(job, model)
    own = Features(inference, job.transform, job.device, 0)
    seen = SeenByTeacher(
        inference, job.transform, job.device, 0, size=48, mean=(0.5,) * 3, std=(0.2, 0.3, 0.4)
    )
    views = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    larger = torch.nn.functional.interpolate(
        views.float() / 255, size=(48, 48), mode="bilinear", antialias=True
    )
    expected = (larger - 0.5) / torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    assert torch.allclose(seen.inputs_of(views), expected, atol=1e-5)
    # And the same of what the run's own network gets, as where images are mixed.
    assert torch.allclose(seen.inputs_from(own.inputs_of(views)), expected, atol=1e-4)


@pytest.mark.slow
def test_a_backbone_teaches_with_a_head_that_is_solved_for(run):
    teacher = {"backbone": {"name": "tlf/resnet20"}}
    finished = run(teacher, epochs=1)
    plain = run(teacher, epochs=1, distillation=None)
    assert finished.report["teacher"]["backbone"] == "tlf/resnet20"
    assert plain.report["teacher"] is None
    assert not head(finished).equal(head(plain))
    # What is measured is what the network itself says of the labels.
    assert lines(finished)[0]["validation"].keys() == lines(plain)[0]["validation"].keys()


@pytest.mark.slow
def test_a_run_with_a_teacher_and_mixed_images_goes_on_to_the_same_bytes(run, taught_by, tmp_path):
    training = {"mixing": "cutmix", "epochs": 2}
    whole = run(str(taught_by), "full-fine-tuning", **training).directory
    directory = tmp_path / "stopped"
    with pytest.raises(RunInterrupted):
        run(str(taught_by), "full-fine-tuning", Dies(4), directory, **training)
    tlf.resume(directory)
    for name in ("model.safetensors", "metrics.jsonl", "predictions.jsonl"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_does_not_go_on_with_another_teacher(run, taught_by, tmp_path):
    directory, other = tmp_path / "stopped", tmp_path / "teacher"
    other.mkdir()
    for name in ("model.json", "model.safetensors"):
        (other / name).write_bytes((taught_by / name).read_bytes())
    with pytest.raises(RunInterrupted):
        run(str(other), listener=Dies(2), directory=directory)
    state = load_file(other / "model.safetensors")
    state["head.linear.bias"] += 1
    save_file(state, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match="the weights of the teacher"):
        tlf.resume(directory)


def test_a_teacher_that_is_no_run_or_knows_other_classes_is_refused(
    run, taught_by, tmp_path, small_spec
):
    with pytest.raises(OutputError, match="holds no finished run"):
        run(str(tmp_path / "nothing"))
    folder = tmp_path / "others"
    write_photographs(folder, {"train": 4, "val": 2}, seed=0)
    for split in ("train", "val"):
        (folder / split / "red").rename(folder / split / "green")
    options = {"train": str(folder / "train"), "validation": str(folder / "val")}
    small_spec["data"] = {"name": "image-folder", "options": options}
    with pytest.raises(SpecError, match="does not know `green`: its classes are `blue`, `red`"):
        run(str(taught_by))


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({}, "give either `run` or `backbone`"),
        ({"run": "x", "backbone": "tlf/resnet20"}, "give either `run` or `backbone`"),
        ({"backbone": "tlf/resnet21"}, "`tlf/resnet21` is not known"),
        ({"backbone": {"name": "timm/resnet18", "weights": "w.pth"}}, "w.pth` does not exist"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused_before_anything_is_read(run, teacher, message):
    with pytest.raises(TlfError, match=message):
        run(teacher)
