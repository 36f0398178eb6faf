"""Low-rank additions beside full fine-tuning: what learns, memory and seconds, in turns.

Two networks: MobileNetV2 with its ImageNet weights on all photographs of ants and bees, for accuracy
too; and a ViT with random weights on some of them, for memory and seconds only. Each run is in a
process of its own that has imported peft before, full fine-tuning too, so that what this takes is in
neither. Memory is the most that the process held, beyond what it held when the run began.

    .venv/bin/python -m tests.benchmarks.lora [FILE]

Every run is added to `results/lora.json` (or to the file) as soon as it is done, and none that is there
is repeated: a benchmark that was stopped goes on.

Needs peft, and the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA
names.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import tlf
from tests.benchmarks import ants_bees
from tests.benchmarks.measuring import (
    apart,
    cache,
    data_folder,
    ratios,
    setting,
    shown,
    total_seconds,
)
from tests.benchmarks.results_file import Cell, ResultsFile, cell

SEEDS = setting("SEEDS", 3)
EPOCHS = setting("EPOCHS", 10)
SHOTS = setting("SHOTS", 16)
RESULTS = Path(__file__).parent / "results" / "lora.json"

FULL = "full-fine-tuning"


class Network(NamedTuple):
    """A network, and what is trained of it.

    Attributes:
        spec: Sections of the spec that are not those of the photographs' default.
        shots: Images of each class to train on, or None for all.
        late: The stages that low-rank additions are limited to in one of the rows.
    """

    spec: Mapping[str, Any]
    shots: int | None
    late: str

    @property
    def rows(self) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
        """By a row's name, the strategy and its options."""
        late = {"stages": [self.late]}
        return {FULL: (FULL, {}), "lora": ("lora", {}), "lora, last stages": ("lora", late)}


NETWORKS: Mapping[str, Network] = {
    "torchvision/mobilenet_v2": Network({"training": {"epochs": EPOCHS}}, None, "features.15.."),
    "timm/vit_base_patch16_224": Network(
        {
            "backbone": {"name": "timm/vit_base_patch16_224", "weights": "none"},
            "training": {"epochs": 1, "batch_size": 8},
        },
        SHOTS,
        "blocks.9..",
    ),
}


def main(arguments: Sequence[str] = ()) -> dict[str, Any] | None:
    """Measure what is missing, and print what each row takes beside full fine-tuning.

    Args:
        arguments: The file of results, if it is another one.
    """
    data = data_folder()
    if data is None:
        return None
    if find_spec("peft") is None:
        print("skipped: needs `pip install 'tlf[lora]'`")
        return None
    results = ResultsFile(Path(arguments[0]) if arguments else RESULTS)
    # Seed by seed, so that what is compared was measured one after the other.
    for seed in range(SEEDS):
        for name, network in NETWORKS.items():
            for row in network.rows:
                one = cell_of(name, row, seed)
                if one not in results.read():
                    results.add(one, measured(data, one))
                    print(f"{name}, {row}, seed {seed}: {results.read()[one]}", flush=True)
    return show(results)


def cell_of(network: str, row: str, seed: int) -> Cell:
    """Return the cell of a row."""
    return cell(network, row, NETWORKS[network].rows[row][1], seed)


def measured(data: Path, one: Cell) -> dict[str, Any]:
    """Return what a run with an empty cache came to."""
    network = NETWORKS[one.data]
    strategy, options = network.rows[one.strategy]
    with tempfile.TemporaryDirectory() as folder:
        spec = ants_bees.spec(data, folder)
        if network.shots is not None:
            spec["data"]["options"] |= {"shots": network.shots}
        strategy_part = {"name": strategy, "options": dict(options)}
        where = cache("auto", Path(folder) / "cache")
        changes = {"strategy": strategy_part, "seed": one.seed}
        return apart("lora", "run", json.dumps({**spec, **network.spec, **changes, **where}))


def run(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out a spec in this process, and return what is compared."""
    import peft  # noqa: F401 - what it takes to import is not what is measured

    before = held_bytes()
    report = tlf.run(spec).report
    return {
        "accuracy": report["metrics"]["accuracy"],
        "seconds": total_seconds(report),
        "train_seconds": report["timings"]["train_seconds"],
        "memory": report["peak_memory_bytes"] - before,
        "parameters": report["steps"][-1]["trainable_parameters"],
    }


def held_bytes() -> int:
    """Return how much memory this process holds, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def show(results: ResultsFile) -> dict[str, Any]:
    """Print, and return, what is known, as ratios to full fine-tuning with the same seed."""
    known = results.read()
    found: dict[str, Any] = {}
    for name, network in NETWORKS.items():
        seeds = [
            seed
            for seed in range(SEEDS)
            if all(cell_of(name, row, seed) in known for row in network.rows)
        ]
        if not seeds:
            continue
        full = [known[cell_of(name, FULL, seed)] for seed in seeds]
        for row in network.rows:
            runs = [known[cell_of(name, row, seed)] for seed in seeds]
            beside = {
                what: ratios([one[what] for one in runs], [one[what] for one in full])
                for what in ("parameters", "memory", "seconds", "train_seconds")
            }
            accuracies = [one["accuracy"] for one in runs]
            print(f"{name}, {row}: {statistics.fmean(accuracies):.1%} accuracy")
            print(f"    {runs[0]['parameters']:,} parameters learn")
            for what, values in beside.items():
                median = statistics.median(one[what] for one in runs)
                print(f"    {what}: {median:,.0f}; ratio {shown(values, '.3f')}")
            found[f"{name}, {row}"] = {"accuracy": accuracies, **beside}
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        print(json.dumps(run(json.loads(sys.argv[2]))))
    else:
        main(sys.argv[1:])
