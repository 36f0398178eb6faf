"""Training speed of full fine-tuning beside a bare loop: same network, precision, batch and optimizer.

The bare loop has its images in memory as normalised tensors and does nothing but train. Ours makes
views of decoded images in memory, checks gradients and losses, and writes its files. Both are run in
turns in one process.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image

import tlf

IMAGES, BATCH, EPOCHS, ROUNDS, SIZE = 128, 32, 2, 5, 224


def main() -> None:
    """Print images per second of both, and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder))
        ratios = []
        for number in range(-1, ROUNDS):
            ours, precision = measure_ours(Path(folder))
            bare = measure_bare(precision)
            # The first round warms caches and the processor up.
            name = f"round {number + 1}" if number >= 0 else "warm-up"
            print(f"{name}: ours {ours:.1f}, bare {bare:.1f} images/s", flush=True)
            if number >= 0:
                ratios.append(ours / bare)
    median = statistics.median(ratios)
    print(
        f"{precision}, {ROUNDS} rounds: median ratio {median:.3f}, from {min(ratios):.3f} to "
        f"{max(ratios):.3f} (aim: at least 0.95)"
    )


def write_photographs(folder: Path) -> None:
    """Write smooth random images of two classes."""
    generator = np.random.default_rng(0)
    for split, count in (("train", IMAGES), ("val", 8)):
        for index in range(count):
            target = folder / split / f"class{index % 2}"
            target.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((320, 280)).save(target / f"{index}.jpg")


def measure_ours(folder: Path) -> tuple[float, str]:
    """Return our images per second, in the best epoch, and the precision."""
    finished = tlf.run(
        {
            "data": {
                "name": "image-folder",
                "options": {"train": str(folder / "train"), "validation": str(folder / "val")},
            },
            "backbone": {"name": "torchvision/mobilenet_v2", "weights": "none"},
            # Norms learn, as they do in the bare loop: both do the same work.
            "strategy": {"name": "full-fine-tuning", "options": {"norms": "learn"}},
            "training": {"epochs": EPOCHS, "batch_size": BATCH, "views": "none"},
            "output": str(folder / "runs"),
        }
    )
    lines = (finished.directory / "timings.jsonl").read_text().splitlines()
    speeds = [json.loads(line)["images_per_second"] for line in lines]
    return max(speeds), finished.report["precision"]


def measure_bare(precision: str) -> float:
    """Return the bare loop's images per second, in the best epoch."""
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2(weights=None, num_classes=2)
    model = model.to(memory_format=torch.channels_last).train()
    images = torch.randn(IMAGES, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (IMAGES,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-5, fused=True)
    speeds = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        for chosen in torch.randperm(IMAGES).split(BATCH):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                logits = model(images[chosen])
            loss = torch.nn.functional.cross_entropy(
                logits.float(), labels[chosen], label_smoothing=0.05
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        speeds.append(IMAGES / (time.perf_counter() - started))
    return max(speeds)
