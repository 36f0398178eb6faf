"""The observer `tensorboard`: TensorBoard reads back what the files of the run say."""

import json
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec

import numpy as np
import pytest

import tlf
from tests.small import Dies
from tlf.errors import PluginError

needs_tensorboard = pytest.mark.skipif(
    find_spec("tensorboard") is None, reason="needs `pip install 'tlf[tensorboard]'`"
)


def events(run_directory, folder="tensorboard"):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run_directory / folder))
    read.Reload()
    return read


def scalars(read, tag):
    return [(event.step, event.value) for event in read.Scalars(tag)]


def texts(read, tag):
    found = read.Tensors(f"{tag}/text_summary")
    return [(event.step, event.tensor_proto.string_val[0].decode()) for event in found]


def written(run_directory, name="metrics.jsonl"):
    lines = (run_directory / name).read_text().splitlines()
    return [json.loads(line) for line in lines]


@needs_tensorboard
def test_each_epoch_is_a_point_with_what_the_files_of_the_run_say(small_spec):
    run = tlf.run({**small_spec, "observers": ["tensorboard"]})
    read, lines = events(run.directory), written(run.directory)
    for name in lines[0]["validation"]:
        wanted = [(line["epoch"], np.float32(line["validation"][name])) for line in lines]
        assert scalars(read, f"{name}/validation") == wanted
    wanted = [(line["epoch"], np.float32(line["train"]["loss"])) for line in lines]
    assert scalars(read, "loss/train") == wanted
    for line in written(run.directory, "timings.jsonl"):
        at = line.pop("epoch")
        for name, value in line.items():
            assert (at, np.float32(value)) in scalars(read, f"timings/{name}")
    assert not [tag for tag in read.Tags()["scalars"] if tag.endswith("/selection")]


@needs_tensorboard
def test_a_step_without_epochs_is_a_point_and_each_step_is_named(small_spec):
    run = tlf.run({**small_spec, "observers": ["tensorboard"], "strategy": "lp-ft"})
    read, lines = events(run.directory), written(run.directory)
    wanted = [(line["epoch"], np.float32(line["validation"]["loss"])) for line in lines]
    assert scalars(read, "loss/validation") == wanted
    assert [at for at, _ in wanted] == [0, 1, 2]
    assert [at for at, _ in scalars(read, "loss/train")] == [1, 2]
    (first, second) = texts(read, "step")
    assert first[0] == second[0] == 0
    assert first[1].startswith("step 1, **probe**: ")
    assert second[1].startswith("step 2, **all**: ")


@needs_tensorboard
def test_what_a_step_chooses_on_is_a_curve_of_its_own(small_spec):
    strategy = {"name": "gradual-unfreezing", "options": {"advance": "on-plateau"}}
    run = tlf.run({**small_spec, "observers": ["tensorboard"], "strategy": strategy})
    wanted = [
        (line["epoch"], np.float32(line["selection"]["loss"])) for line in written(run.directory)
    ]
    assert scalars(events(run.directory), "loss/selection") == wanted


@needs_tensorboard
def test_the_spec_and_the_plan_are_texts(small_spec):
    run = tlf.run({**small_spec, "observers": ["tensorboard"]})
    read = events(run.directory)
    ((_, plan),) = texts(read, "plan")
    assert all(line.startswith("    ") for line in plan.splitlines())
    assert json.loads(plan) == json.loads((run.directory / "plan.json").read_text())
    ((_, spec),) = texts(read, "spec")
    assert json.loads(spec)["training"]["epochs"] == 2


@needs_tensorboard
def test_finished_runs_can_be_compared_by_their_settings(small_spec):
    from tensorboard.plugins.hparams import metadata as names
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    run = tlf.run({**small_spec, "observers": ["tensorboard"], "seed": 3})
    read = events(run.directory)
    for name, value in run.metrics.items():
        assert scalars(read, f"final/{name}") == [(2, np.float32(value))]
    content = read.SummaryMetadata(names.SESSION_START_INFO_TAG).plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["strategy"].string_value == "feature-extraction"
    assert settings["backbone"].string_value == "torchvision/shufflenet_v2_x0_5"
    assert settings["seed"].number_value == 3
    assert settings["batch_size"].number_value == 8
    # A folder below would be another run in TensorBoard.
    assert not [path for path in (run.directory / "tensorboard").iterdir() if path.is_dir()]


@needs_tensorboard
def test_what_auto_has_chosen_is_the_strategy_that_runs_are_compared_by(small_spec):
    from tlf_builtin.tensorboard_events.observer import _settings

    plan = tlf.plan({**small_spec, "strategy": "auto"}).as_json()
    assert _settings({}, plan)["strategy"] == plan["strategy"]["chosen"]["name"] != "auto"


@needs_tensorboard
def test_a_run_that_is_stopped_has_its_points_and_says_why(small_spec, tmp_path):
    class Stopping(tlf.Listener):
        def epoch_finished(self, record):
            if record["epoch"] == 2:
                raise KeyboardInterrupt

    with pytest.raises(tlf.TlfError, match="stopped after 2 of 2"):
        tlf.run({**small_spec, "observers": ["tensorboard"]}, listener=Stopping())
    read = events(tmp_path / "runs" / "small")
    assert [at for at, _ in scalars(read, "loss/train")] == [1]
    assert texts(read, "error") == [(1, "stopped after 2 of 2 epochs")]
    assert not [tag for tag in read.Tags()["scalars"] if tag.startswith("final/")]


@needs_tensorboard
def test_the_folder_is_an_option_and_two_of_one_name_are_not_mixed(small_spec):
    warnings = []

    class Listening(tlf.Listener):
        def warning(self, message):
            warnings.append(message)

    observer = {"name": "tensorboard", "options": {"folder": "events"}}
    run = tlf.run({**small_spec, "observers": [observer, observer]}, listener=Listening())
    assert len(scalars(events(run.directory, "events"), "loss/train")) == 2
    (warning,) = warnings
    assert "`tensorboard` (tlf" in warning
    assert "FileExistsError" in warning


@pytest.mark.parametrize("folder", ["../up", "a/b", ".hidden", ".", "", "a b"])
def test_a_folder_anywhere_else_is_refused(folder, small_spec):
    observer = {"name": "tensorboard", "options": {"folder": folder}}
    with pytest.raises(tlf.TlfError, match=r"observers\.0\.options\.folder"):
        tlf.plan({**small_spec, "observers": [observer]})


def test_that_tensorboard_is_missing_is_told_before_the_run(small_spec, tmp_path, monkeypatch):
    found = metadata.version

    def version(name):
        if name == "tensorboard":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(PluginError, match="needs `tensorboard`, which is not installed") as error:
        tlf.run({**small_spec, "observers": ["tensorboard"]})
    assert error.value.hint.startswith("pip install ")
    assert "tensorboard" in error.value.hint
    assert not (tmp_path / "runs").exists()


def test_its_options_are_known_without_tensorboard():
    script = (
        "import sys\n"
        "sys.modules['tensorboard'] = None\n"
        "from tlf.registry import load_registry\n"
        "entry = load_registry().get('observer', 'tensorboard')\n"
        "assert entry.options({}).folder == 'tensorboard'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@needs_tensorboard
def test_a_run_that_goes_on_has_each_epoch_once(small_spec, tmp_path):
    spec = {**small_spec, "observers": ["tensorboard"], "checkpoint": {"every_seconds": 3600}}
    with pytest.raises(tlf.TlfError):
        tlf.run(spec, listener=Dies(5))
    run = tlf.resume(tmp_path / "runs" / "small")
    # Without a checkpoint it began anew, and told of the first epoch again.
    assert [at for at, _ in scalars(events(run.directory), "loss/train")] == [1, 2]
