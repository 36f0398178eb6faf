"""Run the benchmarks that are named, or all: `python -m tests.benchmarks [NAME...]`."""

import sys

from tests.benchmarks import (
    comparing,
    data_check,
    decoded,
    deterministic,
    end_to_end,
    feature_extraction,
    fine_tune,
    full_fine_tuning,
    gradual,
    learning_rates,
    lora,
    many_images,
    pages,
    peers,
    plugins,
    start_up,
    statistics,
    strategies,
    unequal,
    views,
)

BENCHMARKS = {
    "compare": comparing.main,
    "data-check": data_check.main,
    "decoded-level": decoded.main,
    "deterministic": deterministic.main,
    "end-to-end": end_to_end.main,
    "feature-extraction": feature_extraction.main,
    "fine-tune": fine_tune.main,
    "full-fine-tuning": full_fine_tuning.main,
    "gradual-unfreezing": gradual.main,
    "lora": lora.main,
    "learning-rates": learning_rates.main,
    "many-images": many_images.main,
    "pages": pages.main,
    "peers": peers.main,
    "plugins": plugins.main,
    "start-up": start_up.main,
    "statistics": statistics.main,
    "strategies": strategies.main,
    "unequal-classes": unequal.main,
    "views": views.main,
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
