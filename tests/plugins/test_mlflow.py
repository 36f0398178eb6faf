"""The observer `mlflow`: MLflow reads back what the files of the run say."""

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec

import pytest

import tlf
from tlf.errors import PluginError, RunError
from tlf.plugin import RunFinished, RunStarted


def needs_mlflow(test):
    """Mark a test that uses MLflow: importing it takes two seconds, and making a store four."""
    absent = find_spec("mlflow") is None
    test = pytest.mark.skipif(absent, reason="needs `pip install 'tlf[mlflow]'`")(test)
    return pytest.mark.slow(test)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A store without runs: making one takes seconds, and copying it none."""
    from tlf_builtin.mlflow_tracking.store import make_ready

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    make_ready(file)
    return file


@pytest.fixture
def store(empty_store, tmp_path):
    """The file that a test logs to; its folder has a name that an address has to be careful with."""
    folder = tmp_path / "tracked runs, 100% ü"
    folder.mkdir()
    return shutil.copy(empty_store, folder / "mlflow.db")


@pytest.fixture
def watched(small_spec, store):
    """A spec whose run is logged to the store."""
    observer = {"name": "mlflow", "options": {"tracking_uri": str(store)}}
    return {**small_spec, "observers": [observer]}


class Read:
    """What MLflow's own client reads from a store."""

    def __init__(self, file):
        from tlf_builtin.mlflow_tracking.observer import MlflowClient, quiet

        self.quiet = quiet
        with quiet():
            self.client = MlflowClient(tracking_uri=f"sqlite:///{file}")

    def runs(self, experiment="tlf"):
        with self.quiet():
            found = self.client.get_experiment_by_name(experiment)
            ids = [found.experiment_id] if found else []
            return self.client.search_runs(ids, order_by=["attributes.start_time"]) if ids else []

    def history(self, run, name):
        with self.quiet():
            found = self.client.get_metric_history(run.info.run_id, name)
        return [(metric.step, metric.value) for metric in found]

    def artifacts(self, run):
        with self.quiet():
            return [file.path for file in self.client.list_artifacts(run.info.run_id)]


class Heard(tlf.Listener):
    def __init__(self):
        self.warnings = []

    def warning(self, message):
        self.warnings.append(message)


def written(run_directory):
    lines = (run_directory / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@needs_mlflow
def test_a_run_is_logged_with_what_its_files_say(watched, store):
    run = tlf.run(watched)
    read, lines = Read(store), written(run.directory)
    (logged,) = read.runs()
    assert logged.info.run_name == "small"
    assert logged.info.status == "FINISHED"
    assert logged.info.end_time >= logged.info.start_time
    for name in lines[0]["validation"]:
        wanted = [(line["epoch"], line["validation"][name]) for line in lines]
        assert read.history(logged, f"{name}/validation") == wanted
    wanted = [(line["epoch"], line["train"]["loss"]) for line in lines]
    assert read.history(logged, "loss/train") == wanted
    assert len(read.history(logged, "timings/images_per_second")) == 2
    for name, value in run.metrics.items():
        assert read.history(logged, f"final/{name}") == [(2, value)]


@needs_mlflow
def test_params_and_tags_say_what_the_run_was(watched, store):
    run = tlf.run({**watched, "strategy": {"name": "lp-ft", "options": {"layer_decay": 0.9}}})
    (logged,) = Read(store).runs()
    wanted = {
        "strategy.name": "lp-ft",
        "strategy.options.layer_decay": "0.9",
        "backbone.name": "torchvision/shufflenet_v2_x0_5",
        "training.epochs": "2",
        "training.optimizer.name": "adamw",
        "seed": "0",
        "precision": "float32",
        "images.train": "24",
    }
    assert wanted.items() <= logged.data.params.items()
    tags = logged.data.tags
    assert tags["tlf.version"] == metadata.version("tlf")
    assert tags["tlf.directory"] == str(run.directory.resolve())
    assert tags["tlf.steps"] == "probe, all"
    assert "tlf.error" not in tags


@needs_mlflow
def test_a_step_without_epochs_is_logged_too(watched, store):
    run = tlf.run({**watched, "strategy": "lp-ft"})
    read = Read(store)
    (logged,) = read.runs()
    wanted = [(line["epoch"], line["validation"]["loss"]) for line in written(run.directory)]
    assert read.history(logged, "loss/validation") == wanted
    assert [at for at, _ in wanted] == [0, 1, 2]


@needs_mlflow
def test_small_files_of_the_run_lie_beside_the_store(watched, store):
    run = tlf.run(watched)
    read = Read(store)
    (logged,) = read.runs()
    wanted = ["environment.json", "log.txt", "plan.json", "report.json", "spec.json"]
    assert read.artifacts(logged) == wanted
    folder = store.parent / "mlartifacts" / logged.info.run_id / "artifacts"
    for name in ("plan.json", "report.json", "spec.json"):
        assert (folder / name).read_bytes() == (run.directory / name).read_bytes()


@needs_mlflow
def test_names_are_options_and_no_file_need_be_kept(small_spec, store):
    options = {
        "tracking_uri": f"sqlite:///{store}",
        "experiment": "ants and bees",
        "run_name": "first",
        "artifacts": False,
    }
    tlf.run({**small_spec, "observers": [{"name": "mlflow", "options": options}]})
    read = Read(store)
    (logged,) = read.runs("ants and bees")
    assert logged.info.run_name == "first"
    assert read.artifacts(logged) == []
    assert read.runs() == []
    assert not (store.parent / "mlartifacts").exists()


@needs_mlflow
def test_two_runs_are_two_of_one_experiment(watched, store):
    for seed in (0, 1):
        tlf.run({**watched, "seed": seed})
    logged = Read(store).runs()
    assert [run.info.run_name for run in logged] == ["small", "small-2"]
    assert [run.data.params["seed"] for run in logged] == ["0", "1"]


@needs_mlflow
def test_a_new_file_is_made_where_the_spec_lies(small_spec, tmp_path, capfd):
    spec = {**small_spec, "output": "runs", "observers": ["mlflow"]}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    heard = Heard()
    run = tlf.run(tmp_path / "spec.json", listener=heard)
    (logged,) = Read(tmp_path / "mlflow.db").runs()
    assert logged.data.tags["tlf.directory"] == str(run.directory)
    # Neither the tables that were made nor anything else is talked about.
    assert heard.warnings == []
    assert capfd.readouterr() == ("", "")


@needs_mlflow
def test_a_run_that_fails_is_failed(watched, store):
    training = {**watched["training"], "learning_rate": 100.0, "clip_norm": None}
    with pytest.raises(RunError, match="the loss became"):
        tlf.run({**watched, "training": training, "strategy": "full-fine-tuning"})
    read = Read(store)
    (logged,) = read.runs()
    assert logged.info.status == "FAILED"
    assert logged.data.tags["tlf.error"].startswith("the loss became")
    assert read.artifacts(logged) == ["environment.json", "log.txt", "plan.json", "spec.json"]


@needs_mlflow
def test_a_run_that_is_stopped_is_killed(watched, store):
    class Stopping(tlf.Listener):
        def epoch_finished(self, record):
            if record["epoch"] == 2:
                raise KeyboardInterrupt

    with pytest.raises(tlf.TlfError, match="stopped after 2 of 2"):
        tlf.run(watched, listener=Stopping())
    read = Read(store)
    (logged,) = read.runs()
    assert logged.info.status == "KILLED"
    assert [at for at, _ in read.history(logged, "loss/train")] == [1]


@needs_mlflow
def test_nothing_of_the_users_process_is_changed(watched, monkeypatch):
    import mlflow

    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow", "urllib3")]

    def state():
        levels = [logger.level for logger in loggers]
        return dict(os.environ), levels, mlflow.get_tracking_uri(), mlflow.active_run()

    before = state()
    tlf.run(watched)
    assert state() == before


@needs_mlflow
def test_mlflow_reports_nothing_to_its_makers_unless_the_user_lets_it():
    script = (
        "import tlf_builtin.mlflow_tracking.observer\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "import os\n"
        "print(get_telemetry_client() is None, os.environ.get('MLFLOW_DISABLE_TELEMETRY'))\n"
    )
    # MLflow keeps still by itself where these say that it is tested.
    tested = ("PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS", "MLFLOW_DISABLE_TELEMETRY")
    plain = {name: value for name, value in os.environ.items() if name not in tested}
    done = subprocess.run(
        [sys.executable, "-c", script], env=plain, check=True, capture_output=True, text=True
    )
    assert done.stdout == "True None\n"


@needs_mlflow
def test_a_server_that_is_not_there_is_one_warning_and_given_up_at_once(small_spec, monkeypatch):
    tried = []

    def refuse(self, address):
        tried.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    # It is never asked twice with a pause between.
    monkeypatch.setattr("time.sleep", pytest.fail)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    observer = {"name": "mlflow", "options": {"tracking_uri": "http://127.0.0.1:9"}}
    heard = Heard()
    run = tlf.run({**small_spec, "observers": [observer]}, listener=heard)
    (warning,) = heard.warnings
    assert warning.startswith("the observer `mlflow` (tlf")
    assert "Connection refused" in warning
    assert tried == [("127.0.0.1", 9)] * 2
    assert (run.directory / "report.json").exists()


@needs_mlflow
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("notes.txt", "file is not a database"),
        ("notes.txt/mlflow.db", "File exists"),
        ("folder", "unable to open database file"),
        ("what?/mlflow.db", "its address cannot hold a `?`"),
    ],
)
def test_a_file_that_cannot_be_a_store_is_one_warning_at_once(
    name, why, small_spec, tmp_path, monkeypatch
):
    monkeypatch.setattr("time.sleep", pytest.fail)
    (tmp_path / "notes.txt").write_text("no database at all, " * 100)
    (tmp_path / "folder").mkdir()
    observer = {"name": "mlflow", "options": {"tracking_uri": str(tmp_path / name)}}
    heard = Heard()
    tlf.run({**small_spec, "observers": [observer]}, listener=heard)
    (warning,) = heard.warnings
    assert f"`{tmp_path / name}` cannot be written: " in warning
    assert why in warning
    assert (tmp_path / "notes.txt").read_text().startswith("no database")


@needs_mlflow
def test_runs_that_begin_at_once_make_one_store_between_them(tmp_path):
    file = tmp_path / "mlflow.db"
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tlf.plugin import RunFinished, RunStarted\n"
        "from tlf_builtin.mlflow_tracking.observer import MlflowTracking\n"
        "from tlf_builtin.mlflow_tracking.options import MlflowOptions\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
        "folder = Path(sys.argv[1])\n"
        "observer = MlflowTracking(MlflowOptions(), folder)\n"
        "observer.run_started(RunStarted(folder, {'seed': 0}, {'steps': []}, {}))\n"
        "observer.run_finished(RunFinished(None, 'stopped after 0 of 8 epochs'))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    runs = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for run in runs:
        run.stdout.readline()
    # All have imported what they need: now they begin.
    for run in runs:
        run.stdin.close()
    for run in runs:
        assert run.wait() == 0
        run.stdout.close()
    assert [run.info.status for run in Read(file).runs()] == ["KILLED"] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@needs_mlflow
def test_ctrl_c_while_the_store_is_made_leaves_none(tmp_path, monkeypatch):
    from tlf_builtin.mlflow_tracking import store

    def interrupt(self, *arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.MlflowClient, "search_experiments", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.make_ready(tmp_path / "mlflow.db")
    assert list(tmp_path.iterdir()) == []


@needs_mlflow
def test_a_file_system_without_links_has_a_store_too(empty_store, tmp_path, monkeypatch):
    from tlf_builtin.mlflow_tracking import store

    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    beside = shutil.copy(empty_store, tmp_path / "beside.db")
    store._publish(beside, tmp_path / "mlflow.db")
    assert Read(tmp_path / "mlflow.db").runs() == []
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@needs_mlflow
def test_an_experiment_that_another_run_makes_meanwhile_is_used(watched, store, monkeypatch):
    from tlf_builtin.mlflow_tracking.observer import MlflowClient

    tlf.run(watched)
    look, blind = MlflowClient.get_experiment_by_name, [True]

    def late(self, name):
        return None if blind and blind.pop() else look(self, name)

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", late)
    tlf.run(watched)
    assert len(Read(store).runs()) == 2


@needs_mlflow
def test_params_are_cut_to_what_mlflow_takes():
    from tlf_builtin.mlflow_tracking.observer import _params

    options = {"rates/von *": 0.1, "long": "x" * 7000, "none": None, "k" * 300: 1}
    spec = {"strategy": {"name": "acme/new", "options": options}}
    params = _params(RunStarted(None, spec, {"steps": []}, {}))
    assert params == {
        "strategy.name": "acme/new",
        "strategy.options.rates_von__": "0.1",
        "strategy.options.long": "x" * 6000,
        "strategy.options.none": "null",
        ("strategy.options." + "k" * 300)[:250]: "1",
    }


@needs_mlflow
def test_more_params_than_one_call_takes_are_all_logged(watched, store):
    from tlf_builtin.mlflow_tracking.observer import MlflowTracking
    from tlf_builtin.mlflow_tracking.options import MlflowOptions

    observer = MlflowTracking(MlflowOptions(tracking_uri=str(store)), store.parent)
    options = {f"option{number}": number for number in range(250)}
    spec = {"strategy": {"name": "acme/new", "options": options}}
    observer.run_started(RunStarted(store.parent, spec, {"steps": []}, {}))
    observer.run_finished(RunFinished(None, "stopped after 0 of 8 epochs"))
    (logged,) = Read(store).runs()
    assert len(logged.data.params) == 251


@needs_mlflow
def test_a_run_that_is_stopped_before_the_store_has_it_ends_without_a_word(store):
    from tlf_builtin.mlflow_tracking.observer import MlflowTracking
    from tlf_builtin.mlflow_tracking.options import MlflowOptions

    observer = MlflowTracking(MlflowOptions(tracking_uri=str(store)), store.parent)
    observer.run_finished(RunFinished(None, "stopped after 0 of 8 epochs"))
    assert Read(store).runs() == []


@pytest.mark.parametrize("address", ["htp://server", "file:///runs", "sqlite://runs.db", ""])
def test_an_address_of_another_kind_is_refused(address, small_spec):
    observer = {"name": "mlflow", "options": {"tracking_uri": address}}
    with pytest.raises(tlf.TlfError, match=r"observers\.0\.options\.tracking_uri"):
        tlf.plan({**small_spec, "observers": [observer]})


def test_that_mlflow_is_missing_is_told_before_the_run(small_spec, tmp_path, monkeypatch):
    found = metadata.version

    def version(name):
        if name == "mlflow":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(PluginError, match="needs `mlflow`, which is not installed") as error:
        tlf.run({**small_spec, "observers": ["mlflow"]})
    assert error.value.hint.startswith("pip install ")
    assert "mlflow" in error.value.hint
    assert not (tmp_path / "runs").exists()


def test_its_options_are_known_without_mlflow():
    script = (
        "import sys\n"
        "sys.modules['mlflow'] = None\n"
        "from tlf.registry import load_registry\n"
        "entry = load_registry().get('observer', 'mlflow')\n"
        "assert entry.options({}).tracking_uri == 'mlflow.db'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@needs_mlflow
def test_a_run_that_goes_on_is_the_one_that_was_logged(watched, store):
    class Stopping(tlf.Listener):
        def epoch_finished(self, record):
            raise KeyboardInterrupt

    with pytest.raises(tlf.TlfError, match="stopped after 1 of 2"):
        tlf.run(watched, listener=Stopping())
    (stopped,) = Read(store).runs()
    tlf.resume(stopped.data.tags["tlf.directory"])
    read = Read(store)
    (logged,) = read.runs()
    assert logged.info.status == "FINISHED"
    assert [at for at, _ in read.history(logged, "loss/train")][-1] == 2
