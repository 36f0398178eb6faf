"""From photographs to digits: fixed features against fine-tuning, 100 labelled images a class.

The spec of `examples/resnet50-digits` with MobileNetV2 in the place of ResNet-50. Needs MNIST as PNG
files and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import json
import os
import tempfile
from pathlib import Path

import tlf
from tests.benchmarks.ants_bees import show

EXAMPLE = Path(__file__).parents[2] / "examples" / "resnet50-digits" / "spec.json"
STRATEGIES = ("feature-extraction", "gradual-unfreezing", "full-fine-tuning")
SEEDS = 3


def main() -> None:
    """Print accuracy, spread over the seeds and seconds of each strategy."""
    data = os.environ.get("TLF_TEST_DATA")
    if not data:
        print("skipped: TLF_TEST_DATA does not name the folder of real data")
        return
    with tempfile.TemporaryDirectory() as folder:
        show(tlf.compare(spec(Path(data), folder), STRATEGIES, seeds=SEEDS))


def spec(data: Path, output: str) -> dict:
    """Return the example's spec, with the digits and the weights that are here."""
    found = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    folders = {"train": str(data / "mnist_png/train"), "validation": str(data / "mnist_png/val")}
    found["data"]["options"] |= folders
    weights = data / "weights" / "torchvision_mobilenet_v2.safetensors"
    backbone = {"name": "torchvision/mobilenet_v2", "weights": str(weights)}
    return {**found, "backbone": backbone, "output": output}
