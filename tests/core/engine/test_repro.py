"""A run is run again from its own record: the same, or what differs first and why."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import torch

import tlf
from tests.small import spec_of
from tlf.engine.files import read_tensors, write_tensors
from tlf.errors import OutputError, PluginError, RunInterrupted, UsageError
from tlf.registry import load_registry

ONE_EPOCH = {"epochs": 1, "batch_size": 8}
FULL = {"strategy": "full-fine-tuning", "training": ONE_EPOCH}


@pytest.fixture(scope="module")
def one_run(photographs, tmp_path_factory):
    """A finished run, which nothing may change."""
    output = str(tmp_path_factory.mktemp("runs"))
    backbone = {"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"}
    spec = spec_of(photographs, backbone=backbone, cache={"mode": "off"}, output=output)
    return tlf.run(spec).directory


@pytest.fixture
def finished(one_run, tmp_path):
    """A copy of it, for a test of its own."""
    return Path(shutil.copytree(one_run, tmp_path / "finished"))


@pytest.fixture
def own_images(photographs, tmp_path, small_spec):
    """A folder of the photographs that a test may change; the small spec reads it."""
    folder = Path(shutil.copytree(photographs, tmp_path / "photographs"))
    options = {"train": str(folder / "train"), "validation": str(folder / "val")}
    small_spec["data"] = {"name": "image-folder", "options": options}
    return folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where runs lie that are not kept."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def changed_image(path):
    from PIL import Image

    Image.new("RGB", (40, 48), (200, 10, 200)).save(path)


@pytest.mark.parametrize("strategy", ["feature-extraction", "gradual-unfreezing", "lp-ft"])
def test_a_run_is_the_same_again_and_nothing_of_the_new_one_is_left(
    small_spec, temporary, strategy
):
    run = tlf.run({**small_spec, "strategy": strategy})
    before = sorted(path.name for path in run.directory.parent.iterdir())
    # Whatever was drawn before it.
    torch.rand(5)
    found = tlf.repro(run.directory)
    assert (found.verdict, found.same, found.first, found.stages) == ("same", True, None, ())
    assert (found.causes, found.changes, found.directory) == ((), (), None)
    assert (found.differing_lines, found.predictions.other_numbers) == (0, 0)
    assert list(temporary.glob("tlf-*")) == []
    assert sorted(path.name for path in run.directory.parent.iterdir()) == before


def test_it_is_the_same_without_the_cache_which_is_not_used_then(small_spec, cache_directory):
    run = tlf.run({**small_spec, "training": ONE_EPOCH})
    shutil.rmtree(cache_directory)
    assert tlf.repro(run.directory, cache=False).verdict == "same"
    assert not cache_directory.exists()


def test_the_new_run_is_kept_where_one_asks_for_it(finished, tmp_path, with_pages):
    found = tlf.repro(finished, output_directory=tmp_path / "again")
    assert found.directory == tmp_path / "again"
    assert (tmp_path / "again" / "report.html").is_file()
    assert found.as_json()["directory"] == str(tmp_path / "again")
    with pytest.raises(OutputError, match="exists already"):
        tlf.repro(finished, output_directory=tmp_path / "again")
    # It can be run again itself, wherever it lies.
    assert tlf.repro(tmp_path / "again").verdict == "same"


def test_a_run_of_a_comparison_is_a_run_as_any_other(small_spec):
    compared = tlf.compare({**small_spec, "training": ONE_EPOCH}, ["probe", "from-scratch"])
    directories = [compared.directory / cell.directory for cell in compared.cells]
    assert len(directories) == 2
    for directory in directories:
        assert tlf.repro(directory).verdict == "same"


def test_a_run_that_was_resumed_is_a_run_as_any_other(finished):
    report = json.loads((finished / "report.json").read_text())
    (finished / "report.json").write_text(json.dumps({**report, "resumed": 2}))
    assert tlf.repro(finished).verdict == "same"


def test_files_that_are_written_otherwise_hold_the_same_numbers(finished):
    path = finished / "metrics.jsonl"
    lines = [json.dumps(json.loads(line), indent=None) for line in path.read_text().splitlines()]
    path.write_text("\n\n".join(line.replace(": ", ":") for line in lines).replace("\n\n", "\n"))
    found = tlf.repro(finished)
    assert (found.verdict, found.same, found.causes) == ("same numbers", True, ())


def test_other_weights_to_begin_with_are_the_cause(small_spec, tmp_path, finished):
    weights = tmp_path / "weights.safetensors"
    tensors = read_tensors(finished / "model.safetensors")
    write_tensors(weights, tensors)
    backbone = {**small_spec["backbone"], "weights": str(weights)}
    run = tlf.run({**small_spec, "training": ONE_EPOCH, "backbone": backbone})
    write_tensors(weights, {name: tensor * 1.01 for name, tensor in tensors.items()})
    found = tlf.repro(run.directory)
    assert not found.same
    assert (found.first.line, found.first.epoch, found.first.step) == (1, 1, "head")
    assert found.first.field == "train.loss"
    assert found.causes[0].startswith("the pretrained weights: ")
    assert len(found.causes) == 1
    # Of the strategy feature-extraction only the head has learned.
    assert len(found.frozen_that_differ) > 3
    assert [stage.stage for stage in found.stages if not stage.frozen] == ["head"]


def test_an_image_of_the_training_set_that_became_another_is_the_cause(small_spec, own_images):
    run = tlf.run({**small_spec, **FULL})
    changed_image(own_images / "train" / "red" / "03.png")
    found = tlf.repro(run.directory)
    assert (found.verdict, found.first.line, found.first.field) == ("different", 1, "train.loss")
    assert found.causes[0].startswith("the images of `train`: 24 images ")
    assert len(found.causes) == 1


def test_an_image_to_validate_on_moves_no_weight(small_spec, own_images):
    run = tlf.run({**small_spec, **FULL})
    changed_image(own_images / "val" / "red" / "03.png")
    found = tlf.repro(run.directory)
    assert (found.stages, found.first.line) == ((), 1)
    assert found.first.field.startswith("validation.")
    assert found.causes[0].startswith("the images of `validation`: 10 images ")


#: A strategy as a third party writes one; the rate is written into it.
STRATEGY = """
from tlf.plugin import Strategy, Train


class Two(Strategy):
    def steps(self, outline, budget):
        everything = (*outline.body, outline.head)
        rest = budget.epochs - 1
        rates = dict.fromkeys(everything, RATE)
        return [
            Train(name="head", trainable=(outline.head,), epochs=1),
            Train(name="all", trainable=everything, epochs=rest, rates=rates),
        ]


@hookimpl
def tlf_strategies():
    return [Declaration(name="acme/two", summary="two steps", target="MODULE:Two")]
"""


def test_a_plugin_whose_code_became_another_is_the_cause(small_spec, distribute):
    module = distribute("acme", STRATEGY.replace("RATE", "0.5"))
    load_registry.cache_clear()
    run = tlf.run({**small_spec, "strategy": "acme/two"})
    path = Path(sys.modules.pop(module).__file__)
    path.write_text(path.read_text().replace("0.5", "0.125"))
    load_registry.cache_clear()
    found = tlf.repro(run.directory)
    load_registry.cache_clear()
    # Only the second step has other rates.
    assert (found.first.step, found.first.epoch, found.first.line) == ("all", 2, 2)
    assert found.causes[0].startswith("the code of the strategy `acme/two`: ")
    (rates,) = found.causes[1:]
    assert rates.startswith("`steps.1.rates.conv1.0:weight` and ")
    assert rates.endswith(" more of the plan: 0.001 then, 0.00025 now")


@pytest.mark.slow
def test_another_number_of_threads_is_the_cause(threads, tmp_path):
    spec = {
        "name": "digits",
        "data": {"name": "digits", "options": {"shots": 3}},
        "backbone": "tlf/resnet20",
        "transforms": {"name": "standard", "options": {"flip": 0.0}},
        "training": {"epochs": 1, "batch_size": 10},
        "output": str(tmp_path),
    }
    run = tlf.run(spec)
    torch.set_num_threads(threads + 1)
    found = tlf.repro(run.directory, cache=False)
    assert not found.same
    assert found.first.is_rounding
    (cause,) = found.causes
    assert cause == (
        f"threads: {threads} then, {threads + 1} now; `OMP_NUM_THREADS={threads}` computes with as "
        "many as then"
    )


def test_another_precision_than_the_processor_had_is_the_cause(small_spec, monkeypatch):
    spec = {**small_spec, **FULL, "device": "cpu"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    run = tlf.run(spec)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    found = tlf.repro(run.directory)
    assert not found.same
    assert found.causes == ("`device.precision` of the plan: bfloat16 then, float32 now",)


#: A network that draws from a generator which nobody has seeded, but only where it learns.
DRAWING = """
import numpy as np
from torch import nn
from tlf.plugin import BackboneFamily, BackboneFamilyDeclaration, InputConfig


class Noise(nn.Module):
    def forward(self, x):
        return x * float(np.random.default_rng().uniform(0.5, 1.5)) if self.training else x


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), Noise())
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


class Family(BackboneFamily):
    def models(self):
        return ["noisy"]

    def input_config(self, model, *, default_weights=True):
        return InputConfig(size=8, resize=8)

    def create(self, model, image_size):
        return Network()

    def classifier(self, network):
        return "fc"


@hookimpl
def tlf_backbone_families():
    return [
        BackboneFamilyDeclaration(
            name="acme", summary="draws", target="MODULE:Family", example_models=("noisy",)
        )
    ]
"""


def test_a_plugin_that_draws_from_a_generator_of_its_own_is_suspected(small_spec, distribute):
    distribute("acme", DRAWING)
    load_registry.cache_clear()
    spec = {
        **small_spec,
        "backbone": {"name": "acme/noisy", "weights": "none"},
        "transforms": {"name": "standard", "options": {"size": 8, "resize": 8}},
        "strategy": "lp-ft",
    }
    run = tlf.run(spec)
    found = tlf.repro(run.directory)
    load_registry.cache_clear()
    # The step that solves for the head on frozen features is the same.
    assert (found.first.line, found.first.step, found.first.epoch) == (2, "all", 1)
    assert found.first.field == "train.loss"
    assert found.changes == ()
    assert found.causes[0].startswith("the backbone-family `acme` (tlf-acme 1.0) may draw from")
    assert "`device.options.deterministic`" in found.causes[1]
    assert found.frozen_that_differ == ()


@pytest.mark.parametrize("name", ["head.linear.bias", "backbone.conv1.0.weight"])
def test_weights_that_were_changed_after_the_run_are_said_to_be_so(finished, name):
    path = finished / "model.safetensors"
    tensors = read_tensors(path)
    write_tensors(path, {**tensors, name: tensors[name] + 0.25})
    found = tlf.repro(finished)
    assert (found.verdict, found.first, found.predictions.other_numbers) == ("different", None, 0)
    (stage,) = found.stages
    assert stage.largest == pytest.approx(0.25)
    assert found.frozen_that_differ == (() if name.startswith("head") else (stage.stage,))
    (cause,) = found.causes
    assert cause == (
        "`model.safetensors` was changed after the run: metrics and predictions, which its weights "
        "gave, are the same in every digit"
    )


def test_what_the_record_holds_of_observers_is_no_change_and_they_hear_nothing(
    small_spec, distribute
):
    module = distribute(
        "acme",
        "from tlf.plugin import Observer\n"
        "HEARD = []\n"
        "class Hearing(Observer):\n"
        "    def run_started(self, event):\n"
        "        HEARD.append(event)\n"
        "@hookimpl\n"
        "def tlf_observers():\n"
        "    return [Declaration(name='acme/h', summary='hears', target='MODULE:Hearing')]\n",
    )
    load_registry.cache_clear()
    run = tlf.run({**small_spec, "training": ONE_EPOCH, "observers": ["acme/h"]})
    found = tlf.repro(run.directory)
    load_registry.cache_clear()
    assert (found.verdict, found.changes) == ("same", ())
    assert len(sys.modules[module].HEARD) == 1


def test_a_run_that_did_not_finish_has_nothing_to_compare_with(finished):
    (finished / "report.json").unlink()
    with pytest.raises(OutputError, match=r"did not finish: there is no `report\.json`"):
        tlf.repro(finished)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", b"{"),
        ("metrics.jsonl", b"[]\n"),
        ("predictions.jsonl", b"{}\n"),
        ("model.safetensors", b"no tensors"),
        ("report.json", b"[]"),
    ],
)
def test_a_damaged_file_is_found_before_anything_is_run(finished, name, content):
    (finished / name).write_bytes(content)
    with pytest.raises(OutputError, match=f"`{name}` of the run .* cannot be read"):
        tlf.repro(finished, listener=Failing())


class Failing(tlf.Listener):
    def planned(self, plan):
        pytest.fail("it was run")


def test_what_is_no_run_is_said_to_be_none(tmp_path):
    with pytest.raises(OutputError, match="is no run directory"):
        tlf.repro(tmp_path)


def test_images_that_are_not_there_any_more_end_it_before_it_begins(small_spec, own_images):
    run = tlf.run({**small_spec, "training": ONE_EPOCH})
    shutil.rmtree(own_images / "train")
    with pytest.raises(UsageError, match="cannot be run again here: ") as error:
        tlf.repro(run.directory)
    assert error.value.exit_code == 2
    assert str(own_images / "train") in error.value.message


def test_weights_that_are_not_there_any_more_end_it_and_the_change_is_said(
    small_spec, tmp_path, finished
):
    weights = tmp_path / "weights.safetensors"
    shutil.copy(finished / "model.safetensors", weights)
    backbone = {**small_spec["backbone"], "weights": str(weights)}
    run = tlf.run({**small_spec, "training": ONE_EPOCH, "backbone": backbone})
    weights.unlink()
    with pytest.raises(UsageError) as error:
        tlf.repro(run.directory)
    reason, change = error.value.message.splitlines()
    assert reason.endswith(f"the weights file `{weights}` does not exist")
    assert change.startswith("  since the run: the pretrained weights: ")
    assert change.endswith(", none now")
    assert error.value.exit_code == 2


def test_a_plugin_that_is_not_there_any_more_keeps_its_exit_code(finished):
    spec = json.loads((finished / "spec.json").read_text())
    spec["strategy"] = "acme/gone"
    (finished / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(UsageError, match="`acme/gone`") as error:
        tlf.repro(finished)
    assert error.value.exit_code in (2, PluginError.exit_code)


class Stopping(tlf.Listener):
    def batch_finished(self, epoch, images, loss):
        raise KeyboardInterrupt


def test_one_that_is_stopped_leaves_nothing_behind_unless_it_is_to_be_kept(
    finished, temporary, tmp_path
):
    with pytest.raises(RunInterrupted) as error:
        tlf.repro(finished, listener=Stopping())
    assert error.value.hint == "nothing of it is kept"
    assert list(temporary.glob("tlf-*")) == []
    with pytest.raises(RunInterrupted) as error:
        tlf.repro(finished, output_directory=tmp_path / "kept", listener=Stopping())
    assert str(tmp_path / "kept") in error.value.hint
    assert (tmp_path / "kept" / "plan.json").is_file()
