"""Feature extraction on eight times as many images: how time and memory grow.

The ants and bees are written anew, as JPEG of quality 95, once and eight times over; each copy
differs in one pixel, so nothing is known of it from the others. Both sets run in turns, each in a
process of its own, with a cache that is empty.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

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

EPOCHS = setting("EPOCHS", 10)
COPIES = setting("COPIES", 8)
ROUNDS = setting("ROUNDS", 3)


def main() -> dict[str, Any] | None:
    """Print seconds and memory of both, and the ratios."""
    data = data_folder()
    if data is None:
        return None
    reports: dict[int, list[dict[str, Any]]] = {1: [], COPIES: []}
    with tempfile.TemporaryDirectory() as folder:
        for copies in reports:
            write_copies(data / "hymenoptera", Path(folder) / str(copies), copies)
        for _ in range(ROUNDS):
            for copies, found in reports.items():
                found.append(ours(data, Path(folder) / str(copies)))
    result: dict[str, Any] = {}
    for copies, found in reports.items():
        seconds = [total_seconds(report) for report in found]
        memory = [report["peak_memory_bytes"] / 2**20 for report in found]
        print(
            f"{sum(found[0]['images'].values())} images: {shown(seconds, '.1f')} s, at most "
            f"{shown(memory, '.0f')} MiB"
        )
        timings = [report["timings"] for report in found]
        result[str(copies)] = {"seconds": seconds, "memory_mib": memory, "timings": timings}
    many, base = result[str(COPIES)], result["1"]
    result["time"] = ratios(many["seconds"], base["seconds"])
    result["memory"] = ratios(many["memory_mib"], base["memory_mib"])
    print(f"{COPIES} times as many: {shown(result['time'])} times the time, aim: at most 8.5")
    print(f"{COPIES} times as many: {shown(result['memory'])} times the memory, aim: at most 1.1")
    return result


def write_copies(source: Path, target: Path, copies: int) -> None:
    """Write every image so many times, with another pixel turned to its negative in each copy."""
    contents = set()
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    for path in paths:
        folder = target / path.relative_to(source).parent
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            rgb = image.convert("RGB")
        for number in range(copies):
            copy = rgb.copy()
            # A pixel in a block of its own, which the compression cannot lose.
            place = (8 * number, 0)
            copy.putpixel(place, tuple(255 * (value < 128) for value in copy.getpixel(place)))
            file = folder / f"{path.stem}-{number}.jpg"
            copy.save(file, quality=95)
            contents.add(hash(file.read_bytes()))
    assert len(contents) == len(paths) * copies


def ours(data: Path, images: Path) -> dict[str, Any]:
    """Return the report of a run on images in a folder, with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        spec = ants_bees.spec(data, folder)
        options = {"train": str(images / "train"), "validation": str(images / "val")}
        return report_of(
            {
                **spec,
                "data": {"name": "image-folder", "options": options},
                "training": {"epochs": EPOCHS, "views": "none"},
                **cache("auto", Path(folder) / "cache"),
            }
        )


if __name__ == "__main__":
    main()
