"""The figures on the page about performance that have results in the repository are theirs."""

from pathlib import Path

from tests.benchmarks import fine_tune
from tests.benchmarks.results_file import ResultsFile

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_the_table_beside_fastai_is_what_the_results_say():
    found = fine_tune.show(ResultsFile(fine_tune.RESULTS))
    page = PAGE.read_text(encoding="utf-8")
    for name, row in found.items():
        accuracy = sum(row["accuracy"]) / len(row["accuracy"])
        low, high = row["interval"]
        shown = "fastai `fine_tune`" if name == fine_tune.FASTAI else f"`{name}`"
        difference = ""
        if name != fine_tune.FASTAI:
            worst, best = (100 * bound for bound in row["difference"])
            difference = f"{worst:+.1f} to {best:+.1f} points"
        cells = (shown, f"{accuracy:.1%}", f"{low:.1%} to {high:.1%}", difference)
        line = f"| {' | '.join(cells)} | {row['seconds']:.0f} |".replace("|  |", "| |")
        assert line in page
        assert len(row["accuracy"]) == 5
