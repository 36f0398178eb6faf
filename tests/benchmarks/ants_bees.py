"""The spec of several benchmarks: real photographs, default options.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

from pathlib import Path


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
