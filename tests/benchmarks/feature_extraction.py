"""Feature extraction without augmentation: beside one pass over the images, and PyTorch's tutorial.

Ours runs with a cache that is empty (cold), then again with the same one (warm). The single pass is
`single_pass.py`, in the fastest of its ways here: with torch's modules, and with private operations of
torch that put activations into oneDNN's convolutions, which nobody's trainer uses. The tutorial's loop
is `tutorial_loop.py`. All of them run in turns, each in a process of its own, and their clocks start
after the imports.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import tlf
from tests.benchmarks import ants_bees, single_pass
from tests.benchmarks.measuring import (
    apart,
    cache,
    data_folder,
    ratios,
    report_of,
    setting,
    shown,
    shown_accuracy,
    total_seconds,
)

EPOCHS = setting("EPOCHS", 10)
SEEDS = setting("SEEDS", 3)
#: How often each way of the single pass is tried before the fastest is taken.
TRIES = setting("TRIES", 1)
CHUNKS = ("8", "16", "32")


def main() -> dict[str, Any] | None:
    """Print seconds, ratios and accuracies."""
    data = data_folder()
    if data is None:
        return None
    precision = tlf.plan(ants_bees.spec(data, "runs")).device["precision"]
    ways = fastest_ways(data, precision)
    cold, warm, tutorial = [], [], []
    passes: dict[str, list[dict[str, Any]]] = {network: [] for network in ways}
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(ours(data, folder, seed))
            warm.append(ours(data, folder, seed))
        for network, way in ways.items():
            passes[network].append(one_pass(data, precision, way))
        tutorial.append(loop(data, seed))
        print(
            f"seed {seed}: cold {total_seconds(cold[-1]):.2f} s, warm {total_seconds(warm[-1]):.2f} s, "
            + "".join(
                f"single pass ({network}) {done[-1]['seconds']:.2f} s, of which the images "
                f"{done[-1]['pass_seconds']:.2f} s, "
                for network, done in passes.items()
            )
            + f"tutorial {tutorial[-1]['seconds']:.1f} s",
            flush=True,
        )
    colds, warms = ([total_seconds(report) for report in found] for found in (cold, warm))
    found = {
        **{
            f"cold / single pass ({network})": ratios(colds, [run["seconds"] for run in done])
            for network, done in passes.items()
        },
        "cold / tutorial": ratios(colds, [run["seconds"] for run in tutorial]),
        "warm / cold": ratios(warms, colds),
    }
    aims = {"cold / single pass (modules)": 1.25, "cold / tutorial": 1 / 20, "warm / cold": 0.20}
    for name, values in found.items():
        aim = f", aim: at most {aims[name]:.3g}" if name in aims else ""
        print(f"{name:<28} {shown(values, '.3f')}{aim}")
    accuracies = {
        "cold": [report["metrics"]["accuracy"] for report in cold],
        "warm": [report["metrics"]["accuracy"] for report in warm],
        "tutorial": [run["accuracy"] for run in tutorial],
    }
    for name, values in accuracies.items():
        print(f"accuracy of the last epoch, {name:<8} {shown_accuracy(values)}")
    seconds = {"cold": colds, "warm": warms, "single": passes, "tutorial": tutorial}
    timings = {"cold": [r["timings"] for r in cold], "warm": [r["timings"] for r in warm]}
    return {"ratios": found, "accuracies": accuracies, "seconds": seconds, "timings": timings}


def ours(data: Path, folder: str, seed: int) -> dict[str, Any]:
    """Return the report of a run with the cache in a folder."""
    spec = ants_bees.spec(data, str(Path(folder) / "runs"))
    training = {"epochs": EPOCHS, "views": "none"}
    return report_of(
        {**spec, "training": training, "seed": seed, **cache("auto", Path(folder) / "cache")}
    )


def fastest_ways(data: Path, precision: str) -> dict[str, tuple[str, str, str]]:
    """Try every way of the single pass, print the seconds, and return the fastest of each network."""
    ways = list(product(single_pass.NETWORKS, single_pass.WAYS, CHUNKS))
    seconds: dict[tuple[str, str, str], list[float]] = {way: [] for way in ways}
    for _ in range(TRIES):
        for way in ways:
            seconds[way].append(one_pass(data, precision, way)["seconds"])
    for way, values in seconds.items():
        print(f"single pass, {precision}, {' '.join(way)}: {shown(values)} s", flush=True)
    return {
        network: min((way for way in ways if way[0] == network), key=lambda way: min(seconds[way]))
        for network in single_pass.NETWORKS
    }


def one_pass(data: Path, precision: str, way: tuple[str, str, str]) -> dict[str, Any]:
    """Return what a single pass took."""
    weights = data / "weights" / "torchvision_mobilenet_v2.safetensors"
    return apart("single_pass", str(data / "hymenoptera"), str(weights), precision, *way)


def loop(data: Path, seed: int) -> dict[str, Any]:
    """Return what the tutorial's loop took, and its accuracy."""
    images, weights = (
        data / "hymenoptera",
        data / "weights" / "torchvision_mobilenet_v2.safetensors",
    )
    folders = (str(images / "train"), str(images / "val"))
    return apart("tutorial_loop", *folders, str(weights), str(EPOCHS), str(seed))


if __name__ == "__main__":
    main()
