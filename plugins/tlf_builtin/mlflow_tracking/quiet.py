"""What MLflow takes from the process around it, set while it is called and put back behind it."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator

#: What counts unless the user has set it. MLflow has no arguments for any of these.
_DEFAULTS = {
    # It reports its use to its makers, once it is imported. tlf's users have not asked for that.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # It asks a server for minutes, two minutes at a time, and training would wait for it.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # It prints the address of a run that is over.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

#: They tell of the tables of a new file, and of every request that is tried again.
_TALKATIVE = ("alembic", "mlflow", "urllib3")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let MLflow neither report its use, nor wait long, nor talk; then put all back."""
    added = {name: value for name, value in _DEFAULTS.items() if name not in os.environ}
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    os.environ.update(added)
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # About calls of MLflow's, or of what it uses: a user of tlf can do nothing about them.
            for category in (DeprecationWarning, FutureWarning, PendingDeprecationWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in added:
            os.environ.pop(name, None)
