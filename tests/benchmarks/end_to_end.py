"""Full fine-tuning from the photographs on disk to the last figure, beside a plain PyTorch loop.

The loop is what the trainers of other libraries amount to on a CPU: float32, a DataLoader with two
workers, torchvision's usual transforms, batches of 32, an evaluation after each epoch. Both train the
same network, from the same weights, for as many epochs, with three seeds, in turns.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from torchvision import transforms as T  # noqa: N812 - what everybody calls it

import tlf
from tests.benchmarks import ants_bees

EPOCHS = 5
SEEDS = 3
BATCH = 32

#: How people commonly fine-tune: PyTorch's own tutorial, and what larger trainers take by default.
OPTIMIZERS: dict[str, Callable] = {
    "SGD 0.001, momentum 0.9": lambda parameters: torch.optim.SGD(parameters, 1e-3, momentum=0.9),
    "AdamW 0.0001": lambda parameters: torch.optim.AdamW(parameters, 1e-4),
}


def main() -> None:
    """Print seconds and accuracies of both, and the ratio."""
    data = os.environ.get("TLF_TEST_DATA")
    if not data:
        print("skipped: TLF_TEST_DATA does not name the folder of real data")
        return
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(SEEDS):
        for name, make in OPTIMIZERS.items():
            found.setdefault(f"plain loop, {name}", []).append(plain(Path(data), seed, make))
        seconds, accuracy, precision = ours(Path(data), seed)
        found.setdefault(f"tlf, {precision}", []).append((seconds, accuracy))
    *loops, tlf_name = found
    for name, runs in found.items():
        accuracies = ", ".join(f"{accuracy:.1%}" for _, accuracy in runs)
        mean = statistics.fmean(accuracy for _, accuracy in runs)
        print(
            f"{name:<38} {statistics.median(s for s, _ in runs):6.1f} s a run, accuracy of the last "
            f"epoch {mean:.1%} ({accuracies})"
        )
    for name in loops:
        ratios = [
            mine / theirs
            for (mine, _), (theirs, _) in zip(found[tlf_name], found[name], strict=True)
        ]
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"tlf / {name}: {statistics.median(ratios):.2f} of the wall time ({shown})")


def ours(data: Path, seed: int) -> tuple[float, float, str]:
    """Return the seconds, the accuracy and the precision of a run with default options."""
    with tempfile.TemporaryDirectory() as folder:
        spec = ants_bees.spec(data, folder)
        finished = tlf.run(
            {
                **spec,
                "strategy": "full-fine-tuning",
                "training": {"epochs": EPOCHS, "batch_size": BATCH},
                "seed": seed,
            }
        )
    return (
        finished.report["timings"]["total_seconds"],
        finished.metrics["accuracy"],
        finished.report["precision"],
    )


def plain(data: Path, seed: int, make_optimizer: Callable) -> tuple[float, float]:
    """Return the seconds and the accuracy of the last epoch of the plain loop."""
    torch.manual_seed(seed)
    started = time.perf_counter()
    normalise = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    augment = [T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), normalise]
    centre = [T.Resize(256), T.CenterCrop(224), T.ToTensor(), normalise]
    train, validation = (
        DataLoader(
            torchvision.datasets.ImageFolder(
                str(data / "hymenoptera" / split), T.Compose(transforms)
            ),
            batch_size=BATCH,
            shuffle=split == "train",
            num_workers=2,
        )
        for split, transforms in (("train", augment), ("val", centre))
    )
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(load_file(data / "weights" / "torchvision_mobilenet_v2.safetensors"))
    model.classifier[1] = torch.nn.Linear(model.classifier[1].in_features, 2)
    optimizer = make_optimizer(model.parameters())
    for _ in range(EPOCHS):
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        model.eval()
        right = count = 0
        with torch.no_grad():
            for images, labels in validation:
                right += int((model(images).argmax(1) == labels).sum())
                count += len(labels)
    return time.perf_counter() - started, right / count
