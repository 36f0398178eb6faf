"""What `device.options.deterministic` costs: the same run with and without it, in turns.

Full fine-tuning, so that every operation of the network runs forwards and backwards; each run in a
process of its own, without a cache. On a processor both must come to the same bytes, which is checked.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import ants_bees
from tests.benchmarks.measuring import (
    cache,
    data_folder,
    ratios,
    report_of,
    setting,
    shown,
    total_seconds,
)
from tlf.engine.files import file_digest

EPOCHS = setting("EPOCHS", 2)
ROUNDS = setting("ROUNDS", 3)
#: Images of each class to train on.
SHOTS = setting("SHOTS", 40)
#: Of the processor, or of a GPU where `TLF_BENCH_CUDA` is 1.
DEVICE = "cuda" if setting("CUDA", 0) else "cpu"
RESULTS = Path(__file__).with_name("results") / "deterministic.json"
COMPARED = ("metrics.jsonl", "predictions.jsonl", "model.safetensors")


def main() -> dict[str, Any] | None:
    """Print the ratios, and write those of the processor to the file of results."""
    data = data_folder()
    if data is None:
        return None
    rounds = [one_round(data) for _ in range(ROUNDS)]
    found = {
        "device": DEVICE,
        "epochs": EPOCHS,
        "shots": SHOTS,
        "same_bytes": all(one["same_bytes"] for one in rounds),
        "train": ratios(*([one[how]["train"] for one in rounds] for how in ("strict", "plain"))),
        "whole": ratios(*([one[how]["whole"] for one in rounds] for how in ("strict", "plain"))),
    }
    for part in ("train", "whole"):
        print(f"deterministic / not, seconds of {part}: {shown(found[part])}")
    print(f"the same bytes: {found['same_bytes']}")
    if DEVICE == "cpu":
        RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def one_round(data: Path) -> dict[str, Any]:
    """Return the seconds of both runs, and whether they came to the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {}
        digests = []
        for how, deterministic in (("plain", False), ("strict", True)):
            output = Path(folder) / how
            spec = {
                **ants_bees.spec(data, output),
                **cache("off"),
                "name": "run",
                "strategy": "full-fine-tuning",
                "training": {"epochs": EPOCHS},
                "device": {"name": DEVICE, "options": {"deterministic": deterministic}},
                "output": str(output),
            }
            spec["data"]["options"]["shots"] = SHOTS
            report = report_of(spec)
            assert report["deterministic"] == deterministic
            seconds = report["timings"]["train_seconds"]
            found[how] = {"train": seconds, "whole": total_seconds(report)}
            print(f"  {how}: {seconds:.1f} s of training", flush=True)
            digests.append([file_digest(output / "run" / name) for name in COMPARED])
        return {**found, "same_bytes": digests[0] == digests[1]}


def markdown(found: dict[str, Any]) -> str:
    """Return the rows of the table on the page about performance."""
    rows = []
    for part, words in (("train", "training"), ("whole", "the whole run")):
        rows.append(f"| {words} | {shown(found[part])} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
