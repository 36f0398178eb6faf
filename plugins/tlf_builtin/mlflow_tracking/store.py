"""The file of a local store: whole and writable, or an error at once."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from .options import SQLITE
from .quiet import quiet

# MLflow decides while it is imported whether it reports its use.
with quiet():
    from mlflow import MlflowClient


def address_of(file: Path) -> str:
    """Return what MLflow calls a file.

    Args:
        file: Its whole path.
    """
    return f"{SQLITE}{file}"


def make_ready(file: Path) -> None:
    """Make the file if it is not there, and find out whether it can be written.

    Args:
        file: Its whole path.

    Raises:
        OSError: It cannot. MLflow itself would try for two minutes.
    """
    if "?" in str(file):
        # What comes behind it would be taken for settings, and the file be another one.
        raise OSError(f"`{file}` cannot be written: its address cannot hold a `?`")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            _make(file)
        # Another run may be writing.
        with closing(sqlite3.connect(file, timeout=20)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except (OSError, sqlite3.Error) as error:
        raise OSError(f"`{file}` cannot be written: {error}") from error


def _make(file: Path) -> None:
    """Make an empty store, which appears when it is whole.

    MLflow makes the tables one by one in the file itself: if two runs begin at once, or one is
    stopped in the middle, that leaves a file which MLflow never opens again.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        # Before the seconds that the tables take: no file can be made here, perhaps.
        beside.touch()
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "mlflow.db"
            with quiet():
                MlflowClient(tracking_uri=address_of(made)).search_experiments(max_results=1)
            with (
                closing(sqlite3.connect(made)) as source,
                closing(sqlite3.connect(beside)) as target,
            ):
                source.backup(target)
        _publish(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def _publish(beside: Path, file: Path) -> None:
    try:
        # Unlike a rename, it never takes the place of a file that another run logs to by now.
        os.link(beside, file)
    except OSError:
        # There is one now, or this file system has no links.
        if not file.exists():
            beside.replace(file)
