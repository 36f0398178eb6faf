"""Full fine-tuning: what keeping decoded images saves, of small photographs and of a camera's.

A run without a cache, one with an empty cache, and one with the cache that this one filled: in turns,
each in a process of its own, on the ants and bees (0.2 megapixels in the middle) and on photographs of
12 megapixels, which are some of them scaled up, with the noise of a sensor.

Needs the ants and bees and MobileNetV2's ImageNet weights in the folder that TLF_TEST_DATA names.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
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

EPOCHS = setting("EPOCHS", 3)
ROUNDS = setting("ROUNDS", 3)
#: Photographs of 12 megapixels, ten at least; one in five is for validation.
LARGE = setting("LARGE", 40)
LARGE_SIZE = (4000, 3000)


def main() -> dict[str, Any] | None:
    """Print seconds and ratios for both sets."""
    data = data_folder()
    if data is None:
        return None
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large"
        write_large(data / "hymenoptera", large)
        for name, images in (("ants and bees", data / "hymenoptera"), ("12 megapixels", large)):
            runs = [one_round(data, images) for _ in range(ROUNDS)]
            print(f"{name}, {sum(runs[0]['off']['images'].values())} images")
            result[name] = show(runs)
    return result


def one_round(data: Path, images: Path) -> dict[str, dict[str, Any]]:
    """Return the reports of the three runs."""
    with tempfile.TemporaryDirectory() as folder:
        spec = {
            **ants_bees.spec(data, folder),
            "data": {
                "name": "image-folder",
                "options": {"train": str(images / "train"), "validation": str(images / "val")},
            },
            "strategy": "full-fine-tuning",
            "training": {"epochs": EPOCHS},
        }
        auto = {**spec, **cache("auto", Path(folder) / "cache")}
        off = {**spec, **cache("off", Path(folder) / "cache")}
        return {"off": report_of(off), "cold": report_of(auto), "warm": report_of(auto)}


def show(runs: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Print, and return, what came of the rounds."""
    found: dict[str, Any] = {}
    for name in ("off", "cold", "warm"):
        reports = [run[name] for run in runs]
        whole = [total_seconds(report) for report in reports]
        data = [report["timings"]["data_seconds"] for report in reports]
        decoded = reports[0]["images_decoded"]
        print(
            f"  cache {name:<4} {shown(whole, '.1f')} s, of them {shown(data)} s for reading images; "
            f"{decoded} decoded"
        )
        timings = [report["timings"] for report in reports]
        found[name] = {"whole": whole, "data": data, "timings": timings}
    for name in ("cold", "warm"):
        for part in ("whole", "data"):
            values = ratios(found[name][part], found["off"][part])
            found[f"{name} / off, {part}"] = values
            print(f"  {name} / off: {shown(values)} of {part}")
    return found


def write_large(source: Path, target: Path) -> None:
    """Write photographs of 12 megapixels in the layout of the source."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 4, (*LARGE_SIZE[::-1], 3)).astype(np.float32)
    for split, count in (("train", LARGE - LARGE // 5), ("val", LARGE // 5)):
        classes = sorted(path for path in (source / split).iterdir() if path.is_dir())
        photographs = zip(*(sorted(folder.iterdir()) for folder in classes), strict=False)
        paths = [path for together in photographs for path in together]
        for path in paths[:count]:
            folder = target / split / path.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as image:
                rgb = image.convert("RGB").resize(LARGE_SIZE, Image.Resampling.BICUBIC)
            pixels = np.clip(np.asarray(rgb) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{path.stem}.jpg", quality=92)


if __name__ == "__main__":
    main()
