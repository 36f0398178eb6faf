"""A process that carries out runs of a comparison, one after the other.

It is told what to do in a line of JSON on standard input, and answers with one on standard output: no
object travels, so nothing is unpickled. Run as `python -m tlf.engine.comparing.worker`.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlf.engine.comparing.cells import run_cell
from tlf.engine.comparing.grid import PlannedCell
from tlf.engine.directory import remove_unfinished
from tlf.engine.listener import Listener
from tlf.errors import DataError
from tlf.spec import RawSpec


class _Warnings(Listener):
    """Keeps the warnings of a run, which the other process shows."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def warning(self, message: str) -> None:
        """Keep one."""
        self.heard.append(message)


def order(planned: PlannedCell, folder: Path) -> dict[str, Any]:
    """Return what a worker is told: plain data.

    Args:
        planned: The run.
        folder: The comparison's directory.
    """
    return {
        "variant": planned.variant,
        "seed": planned.seed,
        "values": dict(planned.raw.values),
        "text": planned.raw.text,
        "source": planned.raw.source,
        "spec_folder": str(planned.raw.folder.absolute()),
        "directory": planned.directory,
        "folder": str(folder.absolute()),
    }


def carry_out(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a worker is told, and return its answer.

    Args:
        wanted: What `order` returned.
    """
    raw = RawSpec(wanted["values"], Path(wanted["spec_folder"]), wanted["source"], wanted["text"])
    planned = PlannedCell(wanted["variant"], wanted["seed"], raw, wanted["directory"])
    listener = _Warnings()
    try:
        cell = run_cell(planned, Path(wanted["folder"]), listener)
    except DataError as error:
        return {"data_error": error.message, "hint": error.hint, "warnings": listener.heard}
    return {"cell": cell.as_json(), "warnings": listener.heard}


def main() -> None:
    """Carry out what comes in. The process ends, whatever it is doing, when its input does."""
    # What plugins and libraries print must not get between the answers.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(orders,), daemon=True).start()
        while True:
            answers.write(json.dumps(carry_out(json.loads(orders.get()))) + "\n")
            answers.flush()


def _read(orders: queue.SimpleQueue[str]) -> None:
    """Pass orders on. That no more come means that nobody is there to hear an answer."""
    for line in sys.stdin:
        orders.put(line)
    # Safe at any time: every file of a run is written beside its place, or is a list of lines.
    remove_unfinished()
    os._exit(0)


if __name__ == "__main__":
    main()
