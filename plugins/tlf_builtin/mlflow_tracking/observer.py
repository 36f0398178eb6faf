"""Logs a run to MLflow through its client, which changes nothing that the user's own code may use."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tlf.plugin import (
    EpochFinished,
    Observer,
    RunFinished,
    RunStarted,
    StepFinished,
    resolve_path,
)

from .options import SQLITE, MlflowOptions, is_file
from .quiet import quiet
from .store import address_of, make_ready

with quiet():
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException

#: Sections of the spec that results depend on.
_SECTIONS = (
    "data",
    "backbone",
    "head",
    "transforms",
    "strategy",
    "training",
    "evaluation",
    "device",
    "seed",
)

#: Small files of the run directory.
_ARTIFACTS = ("spec.json", "plan.json", "environment.json", "report.json", "log.txt")

#: MLflow's own limits.
_PARAMS_A_CALL = 100
_LONGEST_PARAM = 6000
_LONGEST_KEY = 250


class MlflowTracking(Observer[MlflowOptions]):
    """Logs what is known at the start, the numbers of each epoch, and how the run ended."""

    _client: MlflowClient
    #: Its id; empty until the store has it.
    _run: str = ""
    _directory: Path
    _epoch: int = 0

    def __init__(self, options: MlflowOptions, folder: Path) -> None:
        super().__init__(options, folder)
        self._file: Path | None = None
        if is_file(options.tracking_uri):
            text = options.tracking_uri.removeprefix(SQLITE)
            self._file = resolve_path(folder, text, "observers.mlflow.options.tracking_uri")

    def run_started(self, event: RunStarted) -> None:
        """Begin a run in the store, with what is known of it.

        Args:
            event: What is known of the run.

        Raises:
            OSError: The store is a file, and cannot be written.
        """
        self._directory = event.directory
        if self._file is None:
            address, artifacts = self.options.tracking_uri, None
        else:
            self._file = self._file.resolve()
            make_ready(self._file)
            address = address_of(self._file)
            # MLflow would put them into the folder that the command was typed in.
            artifacts = (self._file.parent / "mlartifacts").as_uri()
        with quiet():
            self._client = MlflowClient(tracking_uri=address)
            experiment = self._experiment(artifacts)
            if event.epochs_done is not None and self._find(experiment, _tags(event)):
                return
            run = self._client.create_run(
                experiment,
                run_name=self.options.run_name or event.directory.name,
                tags=_tags(event),
            )
            self._run = run.info.run_id
            params = [Param(key, value) for key, value in _params(event).items()]
            for first in range(0, len(params), _PARAMS_A_CALL):
                batch = params[first : first + _PARAMS_A_CALL]
                self._client.log_batch(self._run, params=batch, synchronous=True)

    def epoch_finished(self, event: EpochFinished) -> None:
        """Log the numbers of an epoch.

        Args:
            event: What it came to.
        """
        self._epoch = event.epoch
        self._log(
            {
                **_named("train", event.train),
                **_named("validation", event.validation),
                **_named("selection", event.selection or {}),
                **{f"timings/{name}": value for name, value in event.timings.items()},
            }
        )

    def step_finished(self, event: StepFinished) -> None:
        """Log the numbers of a step without epochs: a head that is solved for, an average.

        Args:
            event: What it came to.
        """
        if event.step["epochs"] == 0:
            self._log(_named("validation", event.validation))

    def run_finished(self, event: RunFinished) -> None:
        """Log what the run came to, and end it in the store.

        Args:
            event: What it came to.
        """
        if not self._run:
            # Ctrl-C came while the store was being made.
            return
        if event.report is not None:
            self._log({f"final/{name}": it for name, it in event.report["metrics"].items()})
        with quiet():
            if event.error is not None:
                self._client.set_tag(self._run, "tlf.error", event.error[:_LONGEST_PARAM])
            self._client.set_terminated(self._run, _status(event))
            # Last: a store of files that does not work must not leave the run without an end.
            for name in _ARTIFACTS if self.options.artifacts else ():
                path = self._directory / name
                if path.is_file():
                    self._client.log_artifact(self._run, str(path))

    def _experiment(self, artifacts: str | None) -> str:
        """Return the experiment's id; it is made if the store has none of that name."""
        name = self.options.experiment
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, artifact_location=artifacts))
            except MlflowException:
                # Another run that began at the same time has made it.
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _find(self, experiment: str, tags: Mapping[str, str]) -> bool:
        """Take up the run that was logged before it was stopped, and say whether there is one."""
        directory = tags["tlf.directory"]
        if "'" in directory:
            # MLflow's language of searches knows no way to write it.
            return False
        found = self._client.search_runs(
            [experiment], f"tags.`tlf.directory` = '{directory}'", max_results=1
        )
        if not found:
            return False
        self._run = found[0].info.run_id
        self._client.update_run(self._run, status="RUNNING")
        return True

    def _log(self, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, self._epoch) for name, value in values.items()]
        with quiet():
            self._client.log_batch(self._run, metrics=metrics, synchronous=True)


def _named(split: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics by the name of the chart that they belong on, then by their split."""
    return {f"{name}/{split}": value for name, value in metrics.items()}


def _tags(event: RunStarted) -> dict[str, str]:
    tags = {
        "mlflow.source.name": "tlf",
        "tlf.version": event.environment.get("libraries", {}).get("tlf"),
        "tlf.directory": str(event.directory.resolve()),
        "tlf.steps": ", ".join(step["name"] for step in event.plan["steps"]),
    }
    return {name: value for name, value in tags.items() if value}


def _params(event: RunStarted) -> dict[str, str]:
    """Return what the results depend on, as texts by name: `training.epochs`."""
    params = {name: event.spec[name] for name in _SECTIONS if name in event.spec}
    plan = event.plan
    # What `auto` has chosen, which the spec leaves open.
    if "strategy" in plan:
        params["strategy"] = plan["strategy"]
    if "device" in plan:
        params["precision"] = plan["device"]["precision"]
    params["images"] = plan.get("data", {}).get("images", {})
    return dict(_flat(params))


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        # An option may have keys of a user's own, and MLflow takes few characters.
        name = above + re.sub(r"[^A-Za-z0-9_.-]", "_", key)
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield name[:_LONGEST_KEY], text[:_LONGEST_PARAM]


def _status(event: RunFinished) -> str:
    if event.report is not None:
        return "FINISHED"
    # Ctrl-C is no failure of the run.
    return "KILLED" if (event.error or "").startswith("stopped after") else "FAILED"
