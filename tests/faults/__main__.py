"""`python -m tests.faults [STRATEGY…] [--least N] [--seed N]` kills runs and prints the table.

With `--writes N`, every Nth write fails instead.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from tests.faults.kills import kill_runs
from tests.faults.ready import get_ready
from tests.faults.specs import small_specs, usable
from tests.faults.writes import Writes

#: Bytes that no file may grow beyond, in turn.
SIZES = (30_000, 1_000_000, 3_000, 5_000, 300_000, 2_000_000)


def main() -> int:
    """Carry out what is wanted, and return 1 if something did not survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="*", default=usable())
    parser.add_argument("--least", type=int, default=5, help="kills at each place")
    parser.add_argument("--seed", type=int, default=0, help="draws when to kill")
    parser.add_argument("--writes", type=int, help="let every nth write fail instead of killing")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="of how many limits of size")
    wanted = parser.parse_args()
    get_ready()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = small_specs(folder / "photographs")
        chosen = {name: specs[name] for name in wanted.strategies}
        if wanted.writes is not None:
            return _fail_writes(chosen, folder / "writes", wanted.writes, SIZES[: wanted.sizes])
        return _kill(chosen, folder / "runs", wanted.least, wanted.seed)


def _kill(specs: Mapping[str, Mapping[str, Any]], folder: Path, least: int, seed: int) -> int:
    tally = kill_runs(specs, folder, least=least, seed=seed, told=_say)
    missing = tally.missing(least)
    for line in (tally.as_table(), *tally.failures, *missing):
        _say(line)
    return 1 if tally.failures or missing else 0


def _fail_writes(
    specs: Mapping[str, Mapping[str, Any]], folder: Path, every: int, sizes: Sequence[int]
) -> int:
    failures = 0
    for strategy, spec in specs.items():
        place = folder / strategy
        place.mkdir(parents=True)
        # Few checkpoints: each is a dozen writes.
        writes = Writes({**spec, "checkpoint": {"every_seconds": 0.3}}, place)
        numbers = range(1, writes.count + 1, every)
        for number in numbers:
            writes.fail("once", number)
            writes.fail("full", number)
        for size in sizes:
            writes.fail("size", size)
        _say(f"{strategy}: {writes.count} writes, every {every}: {writes.findings}")
        for failure in writes.findings.failures:
            _say(failure)
        failures += len(writes.findings.failures)
    return 1 if failures else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
