"""What `tlf compare` says of differences, on made-up runs whose truth is known.

An image has a difficulty that all rows share, one of its own for each row, and chance that is new in
each run; a seed moves all images of a run. Images and seeds are drawn anew each time.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import stats

from tlf.engine.comparing.statistics import estimate, judge

RESULTS = Path(__file__).parent / "results" / "statistics.json"
ROUNDS = 1000
#: Seeds, images, and how far a seed moves the latent score. 0.05 is about one point of accuracy at 90%.
CASES = (
    (5, 500, 0.0),
    (5, 500, 0.03),
    (5, 500, 0.05),
    (5, 500, 0.1),
    (10, 500, 0.05),
    (3, 500, 0.05),
    (3, 500, 0.1),
    (5, 153, 0.05),
)
EQUAL = (0.9, 0.9, 0.9, 0.9)
PLANTED = (0.85, 0.9, 0.9, 0.9)


def main(rounds: int = ROUNDS) -> None:
    """Simulate every case, and print and write what came of it."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.statistics")
    parser.add_argument("--rounds", type=int, default=rounds)
    given = parser.parse_args([] if __name__ != "__main__" else None)
    found = []
    for number, (seeds, images, spread) in enumerate(CASES):
        generator = np.random.default_rng(number)
        shape = {"seeds": seeds, "images": images, "spread": spread}
        found.append(
            {**shape, "rounds": given.rounds, **simulate(generator, given.rounds, **shape)}
        )
        print(json.dumps(found[-1]), flush=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def markdown(found: list) -> str:
    """Return the table, as `docs/performance.md` has it."""
    lines = [
        "| seeds | images | a seed moves it by | false calls | 5 points found | intervals cover |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        moved = f"{one['seed_points']:.1f} points" if one["spread"] else "nothing"
        lines.append(
            f"| {one['seeds']} | {one['images']} | {moved} | {one['false_calls']:.1%} "
            f"| {one['power']:.0%} | {one['coverage']:.1%} |"
        )
    return "\n".join(lines) + "\n"


def simulate(generator, rounds: int, *, seeds: int, images: int, spread: float) -> dict:
    """Return how often something is called real that is not, is found that is, and is covered."""
    false_calls = found = covered = 0
    for _ in range(rounds):
        equal = draw(generator, EQUAL, seeds, images, spread)
        # The mean over all seeds and images that might have been drawn is the accuracy itself.
        for outcomes in equal:
            one = estimate(outcomes)
            covered += one.low <= EQUAL[0] <= one.high
        false_calls += any(one.is_real for one in pairs(equal).values())
        judged = pairs(draw(generator, PLANTED, seeds, images, spread))
        found += sum(judged[0, other].is_real for other in (1, 2, 3))
    return {
        "seed_points": 100 * seed_deviation(spread),
        "false_calls": false_calls / rounds,
        "power": found / (3 * rounds),
        "coverage": covered / (len(EQUAL) * rounds),
    }


def draw(generator, accuracies, seeds: int, images: int, spread: float) -> list:
    """Return what each row got right, `(seeds, images)`."""
    shared = np.sqrt(0.5) * generator.normal(size=(1, images))
    rows = []
    for accuracy in accuracies:
        own = np.sqrt(0.2) * generator.normal(size=(1, images))
        chance = np.sqrt(0.3) * generator.normal(size=(seeds, images))
        moved = spread * generator.normal(size=(seeds, 1))
        middle = stats.norm.ppf(accuracy) * np.sqrt(1 + spread**2)
        rows.append((middle + shared + own + chance + moved > 0).astype(np.float64))
    return rows


def pairs(rows: list) -> dict:
    """Return what is said of every pair of rows."""
    numbers = list(combinations(range(len(rows)), 2))
    verdicts = judge([rows[one] - rows[other] for one, other in numbers], rows=len(rows))
    return dict(zip(numbers, verdicts, strict=True))


def seed_deviation(spread: float, accuracy: float = 0.9) -> float:
    """Return the standard deviation over seeds of the accuracy on all images."""
    moved = spread * np.random.default_rng(0).normal(size=100_000)
    middle = stats.norm.ppf(accuracy) * np.sqrt(1 + spread**2)
    return float(stats.norm.cdf(middle + moved).std())


if __name__ == "__main__":
    main()
