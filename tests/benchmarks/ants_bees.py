"""The classic experiment on real photographs: four strategies, three seeds, default options.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import os
import statistics
import tempfile
from pathlib import Path

import tlf

STRATEGIES = ("feature-extraction", "gradual-unfreezing", "full-fine-tuning", "from-scratch")
SEEDS = 3


def main() -> None:
    """Print accuracy, spread over the seeds, seconds and images per second of each strategy."""
    data = os.environ.get("TLF_TEST_DATA")
    if not data:
        print("skipped: TLF_TEST_DATA does not name the folder of real data")
        return
    with tempfile.TemporaryDirectory() as folder:
        show(tlf.compare(spec(Path(data), folder), STRATEGIES, seeds=SEEDS))


def show(found: tlf.Comparison) -> None:
    """Print a line for each strategy.

    Args:
        found: The comparison.
    """
    for row in found.rows:
        values = [c.metrics["accuracy"] for c in found.cells if c.strategy == row.strategy]
        low, high = row.accuracy_interval
        print(
            f"{row.strategy:<20} accuracy {row.accuracy:.1%} (95% interval over images {low:.1%} to "
            f"{high:.1%}; seeds {', '.join(f'{value:.1%}' for value in values)}; standard deviation "
            f"{statistics.stdev(values):.1%}), {row.seconds:.1f} s a run"
        )


def spec(data: Path, output: str) -> dict:
    """Return the spec: default options throughout."""
    return {
        "name": "ants-bees",
        "data": {
            "name": "image-folder",
            "options": {
                "train": str(data / "hymenoptera" / "train"),
                "validation": str(data / "hymenoptera" / "val"),
            },
        },
        "backbone": {
            "name": "torchvision/mobilenet_v2",
            "weights": str(data / "weights" / "torchvision_mobilenet_v2.safetensors"),
        },
        "output": output,
    }
