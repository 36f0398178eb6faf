"""The page on strategies: a text whose tables and figures are filled in from the results.

A placeholder stands in braces: its name and, after colons, what it is about. So no figure of a
sentence can differ from the cell that it is taken from.

    {rows}                                   table of the rows: strategy and options
    {table:DATA}                             table of accuracies and costs, with an anchor in each row
    {corruptions:DATA}                       table of accuracies on damaged images
    {accuracy:DATA:ROW}                      96.1 % (95.2 to 97.0)
    {corrupted:DATA:ROW}                     the same, of the mean over the kinds of damage
    {seconds:DATA:ROW}                       the median of the seconds
    {difference:DATA:ROW:OTHER}              +1.9 points (1.2 to 2.6), of the accuracy, seed by seed
    {corrupted-difference:DATA:ROW:OTHER}    the same, of the mean over the kinds of damage
    {verdict:DATA:ROW:OTHER}                 better, worse, or not told apart: by that interval
    {corrupted-verdict:DATA:ROW:OTHER}       the same, of the mean over the kinds of damage
    {cell:DATA:ROW}                          a link to the row of the first table
    {measured:NAME}                          the values that all cells have of `version`, `threads` or
                                             `precision`
    {seeds}                                  how many seeds there are when all is done
"""

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.benchmarks.corrupted import CLEAN, DAMAGES
from tests.benchmarks.measuring import interval
from tests.benchmarks.results_file import Found, cell

MISSING = "-"
PLACEHOLDER = re.compile(r"\{([a-z][a-z-]*)((?::[^{}:]+)*)\}")

Rows = Mapping[str, tuple[str, Mapping[str, Any]]]


class Page:
    """What is known, by images and row, and how it is shown.

    Args:
        found: What was measured of each cell. Cells that are not asked for, for instance of a row
            whose options were others, are passed over.
        rows: By a row's name, its strategy and options.
        data: Names of the images.
        seeds: How many there are when all is done.
    """

    def __init__(self, found: Found, rows: Rows, data: Sequence[str], seeds: int) -> None:
        self.rows = rows
        self.data = tuple(data)
        self.seeds = seeds
        #: Of each row, what was measured with each seed.
        self.found: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {
            (name, row): {
                seed: found[one]
                for seed in range(seeds)
                if (one := cell(name, row, options, seed)) in found
            }
            for name in data
            for row, (_, options) in rows.items()
        }

    def filled(self, template: str) -> str:
        """Return a text with its placeholders filled in.

        Args:
            template: The text.

        Raises:
            ValueError: A placeholder, or images or a row that one names, are unknown. All are named.
        """
        kinds: Mapping[str, Callable[..., str]] = {
            "rows": self.table_of_rows,
            "table": self.table,
            "corruptions": self.table_of_corruptions,
            "accuracy": self.accuracy,
            "corrupted": self.corrupted,
            "seconds": self.seconds,
            "difference": self.difference,
            "corrupted-difference": self.corrupted_difference,
            "verdict": self.verdict,
            "corrupted-verdict": self.corrupted_verdict,
            "cell": self.link,
            "measured": self.measured,
            "seeds": lambda: str(self.seeds),
        }
        problems = []

        def fill(match: re.Match[str]) -> str:
            name, about = match[1], match[2].split(":")[1:]
            try:
                return kinds[name](*about)
            except (KeyError, TypeError) as error:
                problems.append(f"{match[0]} ({error})")
                return match[0]

        text = PLACEHOLDER.sub(fill, template)
        if problems:
            raise ValueError("placeholders that cannot be filled in: " + ", ".join(problems))
        return text

    def table_of_rows(self) -> str:
        """Return the table of the rows: which strategy with which options each of them is."""
        lines = [
            (row, f"`{strategy}`", _options(options))
            for row, (strategy, options) in self.rows.items()
        ]
        return table(("row", "strategy", "options"), lines, texts=3)

    def table(self, data: str) -> str:
        """Return the table of accuracies and costs."""
        heading = (
            "strategy",
            "seeds",
            "accuracy",
            "95% interval",
            "seconds",
            "warm",
            "images through",
            "parameters",
        )
        return table(heading, [self._row(data, row) for row in self.rows])

    def _row(self, data: str, row: str) -> tuple[str, ...]:
        accuracies = list(self._values(data, row, accuracy_of).values())
        return (
            f'<a id="{anchor(data, row)}"></a>{row}',
            self._seeds_of(data, row),
            mean_percent(accuracies),
            interval_percent(accuracies),
            number(self._quantity(data, row, "seconds"), statistics.median),
            number(self._quantity(data, row, "seconds_warm"), statistics.median),
            number(self._quantity(data, row, "images_through_backbone"), statistics.fmean),
            number(self._quantity(data, row, "trainable_parameters"), max),
        )

    def table_of_corruptions(self, data: str) -> str:
        """Return the table of accuracies on damaged images, and on the same images undamaged."""
        heading = ("strategy", "seeds", "clean", "damaged, mean", "95% interval", *DAMAGES)
        lines = []
        for row in self.rows:
            damaged = list(self._values(data, row, corrupted_of).values())
            kinds = [
                mean_percent([one["corrupted"][kind] for one in self.found[data, row].values()])
                for kind in (CLEAN, *DAMAGES)
            ]
            seeds = self._seeds_of(data, row)
            mean, limits = mean_percent(damaged), interval_percent(damaged)
            lines.append((row, seeds, kinds[0], mean, limits, *kinds[1:]))
        return table(heading, lines)

    def accuracy(self, data: str, row: str) -> str:
        """Return the mean accuracy of a row with its interval."""
        return self._percent(self._values(data, row, accuracy_of))

    def corrupted(self, data: str, row: str) -> str:
        """Return the mean accuracy of a row on damaged images with its interval."""
        return self._percent(self._values(data, row, corrupted_of))

    def seconds(self, data: str, row: str) -> str:
        """Return the median of the seconds."""
        return number(self._quantity(data, row, "seconds"), statistics.median)

    def difference(self, data: str, row: str, other: str) -> str:
        """Return by how much a row is more accurate than another, with the interval."""
        return self._points(data, row, other, accuracy_of)

    def corrupted_difference(self, data: str, row: str, other: str) -> str:
        """Return by how much a row is more accurate than another on damaged images."""
        return self._points(data, row, other, corrupted_of)

    def verdict(self, data: str, row: str, other: str) -> str:
        """Return whether a row is more accurate than another, as far as the seeds tell."""
        return self._verdict(data, row, other, accuracy_of)

    def corrupted_verdict(self, data: str, row: str, other: str) -> str:
        """Return whether a row is more accurate than another on damaged images."""
        return self._verdict(data, row, other, corrupted_of)

    def link(self, data: str, row: str) -> str:
        """Return a link to a row of the table of accuracies."""
        _ = self.found[data, row]
        return f"[{data}, {row}](#{anchor(data, row)})"

    def measured(self, name: str) -> str:
        """Return the values that the cells have of something that should be one for all of them."""
        values = {str(one[name]) for by_seed in self.found.values() for one in by_seed.values()}
        return ", ".join(sorted(values)) or MISSING

    def _values(
        self, data: str, row: str, value: Callable[[Mapping[str, Any]], float]
    ) -> dict[int, float]:
        return {seed: value(one) for seed, one in self.found[data, row].items()}

    def _quantity(self, data: str, row: str, name: str) -> list[float]:
        return [one[name] for one in self.found[data, row].values() if name in one]

    def _seeds_of(self, data: str, row: str) -> str:
        count = len(self.found[data, row])
        return str(count) if count == self.seeds else f"{count} of {self.seeds}"

    def _percent(self, values: Mapping[int, float]) -> str:
        if not values:
            return MISSING
        each = list(values.values())
        mean = 100 * statistics.fmean(each)
        return f"{mean:.1f} %" + self._bracket(each, _limits(each))

    def _points(
        self, data: str, row: str, other: str, value: Callable[[Mapping[str, Any]], float]
    ) -> str:
        each = self._differences(data, row, other, value)
        if not each:
            return MISSING
        mean = 100 * statistics.fmean(each)
        return f"{mean:+.1f} points" + self._bracket(each, interval(each))

    def _verdict(
        self, data: str, row: str, other: str, value: Callable[[Mapping[str, Any]], float]
    ) -> str:
        each = self._differences(data, row, other, value)
        if len(each) < self.seeds:
            return "not measured yet with all seeds"
        low, high = interval(each)
        return "better" if low > 0 else "worse" if high < 0 else "not told apart"

    def _differences(
        self, data: str, row: str, other: str, value: Callable[[Mapping[str, Any]], float]
    ) -> list[float]:
        """Return the differences of the seeds that both rows have."""
        mine, theirs = (self._values(data, name, value) for name in (row, other))
        return [mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys())]

    def _bracket(self, values: Sequence[float], limits: tuple[float, float]) -> str:
        """Return what stands behind a mean: its interval, and how many seeds if some are missing."""
        low, high = (100 * limit for limit in limits)
        notes = [f"{low:.1f} to {high:.1f}"] if len(values) > 1 else []
        if len(values) < self.seeds:
            notes.append(f"{len(values)} of {self.seeds} seeds")
        return f" ({', '.join(notes)})" if notes else ""


def accuracy_of(found: Mapping[str, Any]) -> float:
    """Return the accuracy of a cell."""
    accuracy: float = found["accuracy"]
    return accuracy


def corrupted_of(found: Mapping[str, Any]) -> float:
    """Return the mean of a cell's accuracies over the kinds of damage."""
    return statistics.fmean(found["corrupted"][kind] for kind in DAMAGES)


def anchor(data: str, row: str) -> str:
    """Return the anchor of a row."""
    return re.sub(r"[^a-z0-9]+", "-", f"{data} {row}".lower()).strip("-")


def mean_percent(values: Sequence[float]) -> str:
    """Return a mean of shares as a table has it."""
    return f"{statistics.fmean(values):.1%}" if values else MISSING


def interval_percent(values: Sequence[float]) -> str:
    """Return the interval of a mean of shares as a table has it; of one value there is none."""
    if len(values) < 2:
        return MISSING
    low, high = _limits(values)
    return f"{low:.1%} to {high:.1%}"


def number(values: Sequence[float], middle: Callable[[Sequence[float]], float]) -> str:
    """Return what stands for some numbers: with a decimal if it is below ten and not whole."""
    if not values:
        return MISSING
    value = float(middle(values))
    return f"{value:.1f}" if value < 10 and not value.is_integer() else f"{value:,.0f}"


def table(heading: Sequence[str], lines: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Return a table.

    Args:
        heading: Of each column.
        lines: Of the table.
        texts: How many of the first columns are text; the others are numbers, to the right.
    """
    rule = ["---"] * texts + ["--:"] * (len(heading) - texts)
    whole = [f"|{'|'.join(rule)}|"]
    shown = ["| " + " | ".join(line) + " |" for line in (heading, *lines)]
    return "\n".join([shown[0], *whole, *shown[1:]])


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the interval of a mean of shares, none of which is below 0 or above 1."""
    low, high = interval(values)
    return max(0.0, low), min(1.0, high)


def _options(options: Mapping[str, Any]) -> str:
    if not options:
        return "default"
    return ", ".join(f"`{name}`: `{_shown(value)}`" for name, value in options.items())


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
