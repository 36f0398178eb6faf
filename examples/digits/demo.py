"""Why transfer learning? Four strategies on three labelled images of each digit: `make demo`.

All take the settings of `spec.json`. The control, from scratch, gets five times the epochs of the
others and the best of three learning rates, chosen on images that are not reported. Every strategy is
run with three seeds, and each seed draws other labelled images.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import tlf

HERE = Path(__file__).parent
SPEC = HERE / "spec.json"
TRANSFER = ("feature-extraction", "gradual-unfreezing", "full-fine-tuning")
CONTROL = "from-scratch"
#: How many times the epochs of the others the control gets.
MORE_EPOCHS = 5
#: Learning rates that the control is tried with.
RATES = (0.003, 0.01, 0.03)


@dataclass
class Row:
    """What a strategy came to.

    Attributes:
        strategy: Its name.
        learning_rate: Peak rate.
        epochs: Passes over the labelled images.
        accuracies: On the test images, of each seed.
        selection: On the validation images after the last epoch, of each seed.
        late_gain: What the last tenth of the epochs added to that, mean against the tenth before.
        images: Images that went through the backbone, in one run, evaluation included.
        seconds: Of one run, the mean.
        directories: Of the runs.
    """

    strategy: str
    learning_rate: float
    epochs: int
    accuracies: list[float]
    selection: list[float]
    late_gain: float
    images: int
    seconds: float
    directories: list[str]


def run_strategy(strategy: str, epochs: int, rate: float, *, seeds: int, output: Path) -> Row:
    """Run a strategy with each seed."""
    runs = []
    for seed in range(seeds):
        started = time.perf_counter()
        finished = tlf.run(
            SPEC,
            overrides=[
                f"name={strategy}-{rate:g}-{seed}",
                f"strategy={strategy}",
                f"training.epochs={epochs}",
                f"training.learning_rate={rate}",
                f"seed={seed}",
                f"data.options.seed={seed}",
                f"output={output.absolute()}",
            ],
        )
        runs.append(finished)
        print(
            f"  {strategy:<20} seed {seed}  rate {rate:<6g} {epochs:>3} epochs  "
            f"{time.perf_counter() - started:5.1f} s  {finished.metrics['accuracy']:6.1%}",
            flush=True,
        )
    curves = [selection_curve(finished) for finished in runs]
    return Row(
        strategy=strategy,
        learning_rate=rate,
        epochs=epochs,
        accuracies=[finished.metrics["accuracy"] for finished in runs],
        selection=[curve[-1] for curve in curves],
        late_gain=fmean(map(late_gain, curves)),
        images=runs[0].report["images_through_backbone"],
        seconds=fmean(finished.report["timings"]["total_seconds"] for finished in runs),
        directories=[str(finished.directory) for finished in runs],
    )


def selection_curve(finished: tlf.Run) -> list[float]:
    """Return the accuracy on the validation images after each epoch."""
    lines = (finished.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["validation"]["accuracy"] for line in lines]


def late_gain(curve: list[float]) -> float:
    """Return what the last tenth of a curve gained on the tenth before it."""
    tenth = max(1, len(curve) // 10)
    return fmean(curve[-tenth:]) - fmean(curve[-2 * tenth : -tenth] or curve[:1])


def table(rows: list[Row], measured: int) -> str:
    """Return the result, for a terminal of 80 columns."""
    words = ("strategy", "accuracy", "95% interval", "each seed", "images", "time")
    heading = "{:<19}{:>9}  {:<17}{:<18}{:>7}{:>8}".format(*words)
    lines = []
    for row in rows:
        mean = fmean(row.accuracies)
        low, high = tlf.accuracy_interval(mean, measured)
        each = ", ".join(f"{accuracy * 100:.1f}" for accuracy in row.accuracies)
        lines.append(
            f"{row.strategy:<19}{mean:>9.1%}  {f'{low:.1%} to {high:.1%}':<17}{each:<18}"
            f"{row.images:>7,}{row.seconds:>6.1f} s"
        )
    return "\n".join([heading, "-" * len(heading), *lines])


def say(text: str) -> None:
    """Print a paragraph and an empty line."""
    print(f"{textwrap.fill(text, 79)}\n", flush=True)


def write_report(output: Path, rows: list[Row], tried: list[Row], measured: int) -> Path:
    """Write everything that the table says, and what it leaves out, beside the runs."""
    numbers = (f"-{number}" if number > 1 else "" for number in range(1, sys.maxsize))
    path = next(p for n in numbers if not (p := output / f"report{n}.json").exists())
    report = {
        "test_images": measured,
        "rows": [asdict(row) for row in rows],
        "from_scratch_tried": [asdict(row) for row in tried],
    }
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return path


def main() -> None:
    """Run everything and print the table; the last line is the path of the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/digits-demo"))
    given = parser.parse_args()
    plan = tlf.plan(SPEC)
    images = plan.data["images"]
    shots = images["train"] // len(plan.classes)
    say(
        "A ResNet-20 that was pretrained on 6,006 digits of MNIST, fitted to another set of "
        f"handwritten digits with {shots} labelled images of each, {images['train']} in all. Nothing "
        "is downloaded."
    )
    rate = plan.training["learning_rate"]
    seeds, output, epochs = given.seeds, given.output, given.epochs
    rows = [run_strategy(name, epochs, rate, seeds=seeds, output=output) for name in TRANSFER]
    tried = [
        run_strategy(CONTROL, MORE_EPOCHS * epochs, each, seeds=seeds, output=output)
        for each in RATES
    ]
    # Chosen on validation images; what is reported are test images.
    best = max(tried, key=lambda row: fmean(row.selection))
    rows.append(best)
    print(f"\n{table(rows, images['test'])}\n")
    say(
        f"Mean of {seeds} seeds on {images['test']} test images. Images: through the network in a "
        f"run, evaluation included. {CONTROL}: {best.epochs} epochs, rate {best.learning_rate:g}, the "
        f"best of {len(RATES)} on {images['validation']} validation images; its last tenth of epochs "
        f"changed that accuracy by {best.late_gain:+.1%}."
    )
    print(write_report(output, rows, tried, images["test"]))


if __name__ == "__main__":
    main()
