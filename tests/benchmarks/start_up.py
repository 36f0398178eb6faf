"""How long the command line takes to start, beside the libraries that it cannot do without."""

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROUNDS = 15
#: What every command imports, and what all times are compared with.
FLOOR = ("-c", "import typer, rich, pluggy")
TLF = str(Path(sys.executable).with_name("tlf"))


def main() -> None:
    """Measure tlf as it is installed here."""
    in_turns(
        {
            "import typer, rich, pluggy": [sys.executable, *FLOOR],
            "tlf --help": [TLF, "--help"],
            "tlf plugins list": [TLF, "plugins", "list"],
        }
    )


def in_turns(commands: Mapping[str, Sequence[str]]) -> None:
    """Measure in turns, so that a slow moment of the machine hits all commands alike, and print.

    Args:
        commands: By what they are called; the first is the floor that the others are compared with.
    """
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    floor = statistics.median(next(iter(seconds.values())))
    for name, values in seconds.items():
        median, best = statistics.median(values), min(values)
        print(
            f"{name:<28} median {median * 1e3:5.0f} ms, minimum {best * 1e3:5.0f} ms, "
            f"{median / floor:.2f} times the floor"
        )
