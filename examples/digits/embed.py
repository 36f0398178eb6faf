"""Put the network of a pretraining run into the package, with its provenance.

tlf run pretrain.json
python embed.py runs/resnet20-mnist
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

TARGET = Path(__file__).parents[2] / "plugins" / "tlf_builtin" / "embedded"


def main(run: Path) -> None:
    """Copy the run's artifact, byte for byte, and write down where it comes from."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    content = (run / "model.safetensors").read_bytes()
    shutil.copyfile(run / "model.safetensors", TARGET / "resnet20.safetensors")
    provenance = {
        "source": "part of tlf: tlf_builtin/embedded/resnet20.safetensors",
        "made_by": "examples/digits/pretrain.json",
        "data": "MNIST as PNG files, every 10th image: 6,006 to train on, 1,004 held out",
        "licence": "Apache-2.0 (trained on MNIST, CC BY-SA 3.0)",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "seed": report["seed"],
        "held_out_accuracy": report["metrics"]["accuracy"],
        "epochs": sum(step["epochs"] for step in report["steps"]),
        "seconds": round(report["timings"]["total_seconds"]),
        "precision": report["precision"],
        "threads": report["threads"],
        "data_digests": {name: split["digest"] for name, split in environment["data"].items()},
        "libraries": environment["libraries"],
    }
    text = json.dumps(provenance, indent=2) + "\n"
    (TARGET / "resnet20.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
