"""What the benchmarks share: settings, the spec's section `cache`, and runs in processes of their own.

As a script, it carries out the spec that it is given and prints the report.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tlf
from tlf.spec.model import RunSpec

ROOT = Path(__file__).parents[2]


def setting(name: str, default: int) -> int:
    """Return a size of a benchmark, which `TLF_BENCH_<NAME>` changes: to try it out, make it tiny."""
    return int(os.environ.get(f"TLF_BENCH_{name}", default))


def data_folder() -> Path | None:
    """Return the folder of real data, or None and say so."""
    data = os.environ.get("TLF_TEST_DATA")
    if not data:
        print("skipped: TLF_TEST_DATA does not name the folder of real data")
        return None
    return Path(data).resolve()


def cache(mode: str, directory: str | Path | None = None) -> dict[str, Any]:
    """Return the section `cache` of a spec, to be merged into it; nothing where there is none."""
    if "cache" not in RunSpec.model_fields:
        return {}
    where = {} if directory is None else {"directory": str(directory)}
    return {"cache": {"mode": mode, **where}}


def apart(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module in a process of its own and return the JSON of its last line.

    Each such process has done its imports and nothing else before its clock starts, so what is
    compared is equally cold.
    """
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    return last_line(command)


def last_line(command: Sequence[str]) -> dict[str, Any]:
    """Run a command and return the JSON of the last line that it prints; show errors if it fails."""
    # The peak of memory that Linux counts of a process begins with that of the one that started it,
    # which may have a network or two in memory: so a shell does.
    shell = ["/bin/sh", "-c", '"$0" "$@"; exit $?', *command]
    done = subprocess.run(shell, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}\nended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def report_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out a spec in a process of its own and return the report."""
    return apart("measuring", json.dumps(spec))


def frozen_seconds(report: Mapping[str, Any]) -> float:
    """Return what a run took to read images and to run the frozen part of the network."""
    timings = report["timings"]
    # What has no prefix_seconds counts them among those of training and evaluation.
    return timings["data_seconds"] + timings.get("prefix_seconds", 0.0)


def total_seconds(report: Mapping[str, Any]) -> float:
    """Return what a run took, from a spec that has been parsed to the last file."""
    seconds: float = report["timings"]["total_seconds"]
    return seconds


def ratios(mine: Iterable[float], theirs: Iterable[float]) -> list[float]:
    """Return the ratio of each round."""
    return [one / other for one, other in zip(mine, theirs, strict=True)]


def shown(values: Sequence[float], pattern: str = ".2f") -> str:
    """Return a median and, in brackets, each value."""
    each = ", ".join(format(value, pattern) for value in values)
    return f"{statistics.median(values):{pattern}} ({each})"


def shown_accuracy(values: Sequence[float]) -> str:
    """Return a mean and, in brackets, each value."""
    each = ", ".join(f"{value:.1%}" for value in values)
    return f"{statistics.fmean(values):.1%} ({each})"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return Student's 95% interval of the mean; no wider than one number for a single value."""
    # Not above: it takes memory, which processes that run this module as a script are measured by.
    from scipy.stats import t

    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, mean
    error = statistics.stdev(values) / len(values) ** 0.5
    half = float(t.ppf(0.975, len(values) - 1)) * error
    return mean - half, mean + half


if __name__ == "__main__":
    print(json.dumps(dict(tlf.run(json.loads(sys.argv[1])).report)))
