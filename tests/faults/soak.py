"""Many small runs in one process, and one long one: does it come to hold ever more?"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import tlf
from tests.faults.ready import get_ready
from tests.faults.specs import small_specs

#: How many of the first measurements count for nothing: caches of libraries fill.
WARM = 40
#: What may be more at the end than after the warming, in bytes: an allocator never gives back all.
MORE_BYTES = 16 * 2**20


def measured() -> tuple[int, int, int]:
    """Return the bytes of memory that this process holds, its open files, and its threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    threads = len(list(Path("/proc/self/task").iterdir()))
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path("/proc/self/fd").iterdir())), threads


class Measures(tlf.Listener):
    """Measures after every epoch."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []

    def epoch_finished(self, record: dict[str, Any]) -> None:
        """Measure."""
        self.seen.append(measured())


def many_runs(spec: Mapping[str, Any], folder: Path, count: int) -> list[tuple[int, int, int]]:
    """Carry out a run many times, and return what was measured after each.

    Args:
        spec: Of a small run.
        folder: Where to work.
        count: How many.
    """
    seen = []
    for _ in range(count):
        run = tlf.run(spec, output_directory=folder / "run")
        shutil.rmtree(run.directory)
        seen.append(measured())
    return seen


def long_run(spec: Mapping[str, Any], folder: Path, epochs: int) -> list[tuple[int, int, int]]:
    """Carry out a run of many epochs, and return what was measured after each.

    Args:
        spec: Of a small run.
        folder: Where to work.
        epochs: How many.
    """
    listener = Measures()
    training = {**spec["training"], "epochs": epochs}
    tlf.run({**spec, "training": training}, output_directory=folder / "long", listener=listener)
    return listener.seen


def grown(seen: list[tuple[int, int, int]]) -> str | None:
    """Return what has become more, in words, or None.

    Args:
        seen: What was measured, one after the other.
    """
    first, last = seen[min(WARM, len(seen) // 2)], seen[-1]
    if last[0] - first[0] > MORE_BYTES:
        return f"memory: {first[0]:,} to {last[0]:,} bytes"
    if last[1] > first[1]:
        return f"open files: {first[1]} to {last[1]}"
    return f"threads: {first[2]} to {last[2]}" if last[2] > first[2] else None


def main() -> int:
    """Measure, and return 1 if something has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=300)
    wanted = parser.parse_args()
    get_ready()
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = small_specs(folder / "photographs")["full-fine-tuning"]
        spec = {**spec, "cache": {"directory": str(folder / "cache")}}
        short = {**spec, "training": {"epochs": 1, "batch_size": 8}}
        for what, seen in (
            (f"{wanted.runs} runs", many_runs(short, folder, wanted.runs)),
            (f"a run of {wanted.epochs} epochs", long_run(spec, folder, wanted.epochs)),
        ):
            warm, last = seen[min(WARM, len(seen) // 2)], seen[-1]
            more = grown(seen)
            bad += more is not None
            print(
                f"{what}: {warm[0] / 1e6:.1f} MB, {warm[1]} files, {warm[2]} threads after warming; "
                f"{last[0] / 1e6:.1f} MB, {last[1]}, {last[2]} at the end"
                f"{'' if more is None else '; GROWN ' + more}",
                flush=True,
            )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
