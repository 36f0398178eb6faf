"""How long a page takes to make, and how large it is: of made-up results, as the tests have them."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.core.report import made
from tlf.report import comparison_page, run_page

ROUNDS = 7
MANY = tuple(f"class {number}" for number in range(1000))


def main() -> None:
    """Print size and seconds of each page; the first of a process loads matplotlib and is left out."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pages = {
            "a run": (run_page, made.run_folder(folder / "small", full=False)),
            "a run, looked at once more": (run_page, made.run_folder(folder / "full")),
            "the same, 1,000 classes": (run_page, made.run_folder(folder / "many", classes=MANY)),
            "a comparison": (
                comparison_page,
                made.comparison_folder(folder / "one", shots=()),
            ),
            "a comparison over 3 numbers of shots": (
                comparison_page,
                made.comparison_folder(folder / "three"),
            ),
        }
        run_page(folder / "small")
        for name, (make, where) in pages.items():
            size, seconds = measure(make, where)
            print(f"{name}: {size / 1000:.0f} kB in {seconds:.2f} s (median of {ROUNDS})")


def measure(make: Callable[[Path], str], folder: Path) -> tuple[int, float]:
    """Return the size of a page in bytes, and the median of the seconds that it takes."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        page = make(folder)
        seconds.append(time.perf_counter() - started)
    return len(page.encode()), statistics.median(seconds)


if __name__ == "__main__":
    main()
