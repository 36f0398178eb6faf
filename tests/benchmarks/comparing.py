"""`tlf compare` as a user runs it: four strategies, five seeds, on photographs and on digits.

Writes `results/compare.json`: the tables, the learning curve, and the wall time of the whole comparison
as a multiple of one full fine-tuning without a cache. Needs ants and bees, MNIST as PNG files and
MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.

With `--folder DIR`, what is there already is kept, so that it can be stopped and goes on.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import tlf
from tests.benchmarks import ants_bees

EXAMPLE = Path(__file__).parents[2] / "examples" / "resnet50-digits" / "spec.json"
RESULTS = Path(__file__).parent / "results" / "compare.json"
STRATEGIES = ("feature-extraction", "gradual-unfreezing", "full-fine-tuning", "from-scratch")
SEEDS = 5
SHOTS = (10, 100)
#: What of a comparison is kept: no names of directories.
KEPT = (
    "seeds",
    "metrics_on",
    "images_measured",
    "groups",
    "rows",
    "differences",
    "gains",
    "advice",
)


def main() -> None:
    """Carry out both comparisons, and print what they come to."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.comparing")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args([] if __name__ != "__main__" else None)
    data = os.environ.get("TLF_TEST_DATA")
    if not data:
        print("skipped: TLF_TEST_DATA does not name the folder of real data")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        # One cache for all runs, which nothing else has filled.
        os.environ["TLF_CACHE_DIR"] = str(folder / "cache")
        found = {name: measure(name, Path(data), folder) for name in SPECS}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, one in found.items():
        print(f"{name}: {one['advice']}")
        print(
            f"{len(one['accuracies'])} runs in {one['seconds']:.0f} s, {one['multiple']:.1f} times one "
            f"full fine-tuning without a cache ({one['uncached_seconds']:.0f} s)"
        )


def measure(name: str, data: Path, folder: Path) -> dict:
    """Carry out one comparison, and one run without a cache beside it."""
    spec = {**SPECS[name](data), "output": str(folder / name)}
    there = folder / name / f"{spec['name']}-comparison"
    found = tlf.compare(
        spec,
        STRATEGIES,
        seeds=SEEDS,
        shots=SHOTS if name == "digits" else (),
        resume=there if there.exists() else None,
    )
    alone = tlf.run(
        {**spec, "name": "alone", "strategy": "full-fine-tuning", "cache": {"mode": "off"}}
    )
    uncached = alone.report["timings"]["total_seconds"]
    seconds = sum(cell.total_seconds or 0.0 for cell in found.cells)
    whole = found.as_json()
    return {
        **{key: whole[key] for key in KEPT},
        "accuracies": [
            [one["row"], one["group"], one["seed"], (one["metrics"] or {}).get("accuracy")]
            for one in whole["runs"]
        ],
        "seconds": seconds,
        "uncached_seconds": uncached,
        "multiple": seconds / uncached,
    }


def markdown(one: dict) -> str:
    """Return the tables of a comparison, as `docs/performance.md` has them."""
    lines = []
    for number, group in enumerate(one["groups"]):
        if group["name"]:
            lines += [f"With {group['name'].removeprefix('shots ')} images a class:", ""]
        lines += ["| rank | strategy | accuracy | 95% interval | each seed | seconds |"]
        lines += ["|--:|---|--:|--:|--:|--:|"]
        members = [row for row in one["rows"] if row["group"] == number]
        for row in sorted(members, key=lambda row: (row["rank"], -row["accuracy"])):
            low, high = row["interval"]
            seeds = ", ".join(
                f"{100 * value:.1f}"
                for name, group_number, _, value in one["accuracies"]
                if (name, group_number) == (row["name"], number)
            )
            lines.append(
                f"| {row['rank']} | `{row['name']}` | {row['accuracy']:.1%} | {low:.1%} to {high:.1%} "
                f"| {seeds} | {row['seconds']:.0f} |"
            )
        lines.append("")
    lines.append(f"> {one['advice']}")
    return "\n".join(lines) + "\n"


def digits(data: Path) -> dict:
    """Return the spec of `examples/resnet50-digits`, with the network and weights that are here."""
    found = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    folders = {"train": str(data / "mnist_png/train"), "validation": str(data / "mnist_png/val")}
    found["data"]["options"] |= folders
    weights = data / "weights" / "torchvision_mobilenet_v2.safetensors"
    backbone = {"name": "torchvision/mobilenet_v2", "weights": str(weights)}
    return {**found, "name": "digits", "backbone": backbone}


SPECS = {"ants-bees": lambda data: ants_bees.spec(data, ""), "digits": digits}


if __name__ == "__main__":
    main()
