"""How long the command line takes to start, beside the libraries that it cannot do without."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 15
FLOOR = [sys.executable, "-c", "import typer, rich, pluggy"]
TLF = str(Path(sys.executable).with_name("tlf"))


def main() -> None:
    """Measure in turns, so that a slow moment of the machine hits all commands alike."""
    commands = {
        "import typer, rich, pluggy": FLOOR,
        "tlf --help": [TLF, "--help"],
        "tlf plugins list": [TLF, "plugins", "list"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    floor = statistics.median(seconds["import typer, rich, pluggy"])
    for name, values in seconds.items():
        median, best = statistics.median(values), min(values)
        print(
            f"{name:<28} median {median * 1e3:5.0f} ms, best {best * 1e3:5.0f} ms, "
            f"{median / floor:.2f} times the floor"
        )
