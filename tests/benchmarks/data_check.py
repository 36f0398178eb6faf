"""What `tlf data check` takes: looking at every image, and the search for those that look the same."""

import time
from pathlib import Path

import numpy as np

from tests.benchmarks.measuring import data_folder, setting
from tlf.data.examination import examine
from tlf.data.near import Fingerprint, near_pairs
from tlf_builtin.image_folder.options import ImageFolderOptions
from tlf_builtin.image_folder.source import ImageFolder


def main() -> None:
    """Print seconds."""
    search(setting("IMAGES", 50_000))
    data = data_folder()
    if data is not None:
        for name in ("hymenoptera", "mnist_png"):
            look(data / name)


def look(folder: Path) -> None:
    """Check a folder of images, in all cores of this process."""
    options = ImageFolderOptions(train=str(folder / "train"), validation=str(folder / "val"))
    dataset = ImageFolder(options, folder).open()
    count = sum(map(len, dataset.splits.values()))
    started, worked = time.perf_counter(), time.process_time()
    found = examine(dataset, image_size=224, unreadable="error", leaks="error")
    kinds = ", ".join(finding.kind for finding in found.findings) or "nothing"
    print(f"{folder.name}: {count:,} images in {_taken(started, worked)}; found: {kinds}")


def search(count: int) -> None:
    """Search among so many pictures, one in a hundred of which looks like the one before."""
    rng = np.random.default_rng(0)
    prints: list[Fingerprint] = []
    while len(prints) < count:
        bits, thumbnail = int(rng.integers(2**63)), rng.integers(0, 256, 256, dtype=np.uint8)
        prints += [Fingerprint(bits, thumbnail, 74.0, is_grey=False)] * (
            1 + (len(prints) % 100 == 0)
        )
    started, worked = time.perf_counter(), time.process_time()
    pairs, _ = near_pairs(prints)
    print(f"{count:,} pictures compared in {_taken(started, worked)}: {len(pairs)} pairs")


def _taken(started: float, worked: float) -> str:
    """Return what a clock and what the processor say; they differ where others use it too."""
    return (
        f"{time.perf_counter() - started:.1f} s ({time.process_time() - worked:.1f} s of processor)"
    )
