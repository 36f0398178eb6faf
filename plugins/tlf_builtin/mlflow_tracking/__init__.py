"""The observer `mlflow`: the run in an MLflow store, a local file or a server."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_observers() -> list[Declaration]:
    """Declare the observer."""
    return [
        Declaration(
            name="mlflow",
            summary="logs the run to MLflow: to a local file, or to a server",
            target="tlf_builtin.mlflow_tracking.observer:MlflowTracking",
            options="tlf_builtin.mlflow_tracking.options:MlflowOptions",
            requires=("mlflow",),
            examples=({}, {"tracking_uri": "sqlite:///tracked/runs.db", "artifacts": False}),
        )
    ]
