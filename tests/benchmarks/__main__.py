"""Run the benchmarks that are named, or all: `python -m tests.benchmarks [NAME...]`."""

import sys

from tests.benchmarks import ants_bees, digits, end_to_end, full_fine_tuning, start_up

BENCHMARKS = {
    "ants-bees": ants_bees.main,
    "digits": digits.main,
    "end-to-end": end_to_end.main,
    "full-fine-tuning": full_fine_tuning.main,
    "start-up": start_up.main,
}


def main() -> None:
    """Run the benchmarks."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        print(f"== {name}", flush=True)
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
