"""Charts of a comparison: accuracies, what they cost, and how they grow with more images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tlf.report.blocks import Chart
from tlf.report.drawing import DASHES, INK, MARKERS, MUTED, SERIES, Canvas, chart
from tlf.report.words import interval, is_number, percent, seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More names cannot be told apart by colour and marker; they are numbered instead.
_COLOURED = len(SERIES)
#: More groups are a table, not a wall of charts.
_GROUPS = 6


@dataclass(frozen=True)
class Row:
    """A row of a comparison.

    Attributes:
        number: Of its name among all names: what it is drawn in, in every chart.
        group: Index of its group.
        each: Accuracies of its seeds.
        values: What `comparison.json` holds of it.
    """

    number: int
    group: int
    each: tuple[float, ...]
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is called within its group."""
        return str(self.values["name"])

    @property
    def accuracy(self) -> float:
        """Mean over the seeds; only of a row that has one."""
        return float(self.values["accuracy"])

    @property
    def look(self) -> dict[str, Any]:
        """Colour and marker."""
        number = self.number % _COLOURED
        return {"color": SERIES[number], "marker": MARKERS[number]}


def _measured(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that have an accuracy, the best first."""
    found = [row for row in rows if is_number(row.values.get("accuracy"))]
    return sorted(found, key=lambda row: (-row.accuracy, row.name))


#: What the charts of a group show.
ACCURACY = "Accuracy with 95% interval; each seed is a small dot"
COST = "Accuracy against time"


def accuracy_charts(rows: Sequence[Row], groups: Sequence[str]) -> list[Chart]:
    """Return a dot plot of each group.

    Args:
        rows: All rows.
        groups: Names of the groups.
    """
    charts = []
    ends = [end for row in _measured(rows) for end in (row.values.get("interval") or ())]
    ends += [value for row in _measured(rows) for value in (row.accuracy, *row.each)]
    for number, group in enumerate(groups[:_GROUPS]):
        mine = _measured([row for row in rows if row.group == number])
        if len(mine) < 2:
            continue
        said = [f"{row.name} {percent(row.accuracy)} ({_interval(row)})" for row in mine]
        charts.append(
            chart(
                f"accuracy-{number}",
                partial(_paint_accuracy, rows=mine, limits=(min(ends), max(ends))),
                caption=group or ACCURACY,
                description=f"{ACCURACY}: {'; '.join(said)}.",
                height=0.9 + 0.3 * len(mine),
            )
        )
    return charts


def _interval(row: Row) -> str:
    return interval(row.values.get("interval"))


def _paint_accuracy(canvas: Canvas, *, rows: Sequence[Row], limits: tuple[float, float]) -> None:
    axes = canvas.axes
    for place, row in enumerate(rows):
        bounds = row.values.get("interval")
        colour = row.look["color"]
        if bounds:
            axes.plot([100 * bounds[0], 100 * bounds[1]], [place, place], color=colour, linewidth=2)
        axes.plot([100 * row.accuracy], [place], linestyle="", markersize=7, **row.look)
        if len(row.each) > 1:
            axes.plot(
                [100 * value for value in row.each],
                [place + 0.28] * len(row.each),
                linestyle="",
                marker="o",
                markersize=2.6,
                color=MUTED,
            )
    axes.set_yticks(range(len(rows)), [canvas.label(row.name) for row in rows])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    margin = 0.04 * (limits[1] - limits[0]) or 0.01
    axes.set_xlim(100 * (limits[0] - margin), 100 * (limits[1] + margin))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("accuracy, %")


def cost_charts(rows: Sequence[Row], groups: Sequence[str]) -> list[Chart]:
    """Return accuracy against time, of each group.

    Args:
        rows: All rows.
        groups: Names of the groups.
    """
    charts = []
    for number, group in enumerate(groups[:_GROUPS]):
        mine = [row for row in _measured(rows) if row.group == number and row.values.get("seconds")]
        if len(mine) < 2:
            continue
        said = [f"{r.name} {percent(r.accuracy)} in {seconds(r.values['seconds'])}" for r in mine]
        lines = -(-len(mine) // 2) if len(mine) <= _COLOURED else 0
        charts.append(
            chart(
                f"cost-{number}",
                partial(_paint_cost, rows=mine),
                caption=group or COST,
                description=f"{COST}: {'; '.join(said)}.",
                height=2.3 + 0.17 * lines,
            )
        )
    return charts


def _paint_cost(canvas: Canvas, *, rows: Sequence[Row]) -> None:
    axes = canvas.axes
    times = [row.values["seconds"] for row in rows]
    for place, row in enumerate(rows):
        where = ([row.values["seconds"]], [100 * row.accuracy])
        if len(rows) <= _COLOURED:
            axes.plot(*where, linestyle="", markersize=7, label=canvas.label(row.name), **row.look)
        else:
            number = row.values.get("rank") or place + 1
            axes.plot(*where, linestyle="", marker="o", markersize=3, color=SERIES[0])
            axes.annotate(str(number), (where[0][0], where[1][0]), xytext=(3, 2),
                          textcoords="offset points", fontsize=7.5)  # fmt: skip
    if max(times) > 4 * min(times):
        _log_axis(axes, times)
    else:
        axes.set_xlim(left=0)
    axes.margins(0.1)
    axes.set_xlabel("seconds, mean over the seeds")
    axes.set_ylabel("accuracy, %")
    if len(rows) <= _COLOURED:
        canvas.legend(2)


def _log_axis(axes: Axes, values: Sequence[float]) -> None:
    """Use a logarithmic axis whose numbers are written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    decades = max(values) / min(values)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 200 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def shots_charts(
    rows: Sequence[Row], groups: Sequence[dict[str, Any]], axes: Sequence[dict[str, Any]]
) -> list[Chart]:
    """Return how accuracies grow with the number of images, if that was varied.

    Args:
        rows: All rows.
        groups: The groups.
        axes: What was varied.
    """
    path = next((axis["path"] for axis in axes if _last(axis["path"]) == "shots"), None)
    if path is None:
        return []
    lines: dict[str, list[tuple[float, Row]]] = {}
    for row in sorted(_measured(rows), key=lambda row: row.number):
        group = groups[row.group] if row.group < len(groups) else {}
        shots = {**(group.get("values") or {}), **(row.values.get("values") or {})}.get(path)
        if isinstance(shots, int | float) and is_number(shots) and shots > 0:
            lines.setdefault(row.name, []).append((float(shots), row))
    lines = {name: sorted(found, key=lambda one: one[0]) for name, found in lines.items()}
    lines = {name: found for name, found in lines.items() if len({shots for shots, _ in found}) > 1}
    if not lines or len(lines) > _COLOURED:
        return []
    said = [
        f"{name}: " + ", ".join(f"{percent(row.accuracy)} with {shots:g}" for shots, row in found)
        for name, found in lines.items()
    ]
    return [
        chart(
            "shots",
            partial(_paint_shots, lines=lines),
            caption="Accuracy against images of each class, with 95% intervals",
            description="; ".join(said) + ".",
            height=2.8 + 0.17 * -(-len(lines) // 2),
        )
    ]


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _paint_shots(canvas: Canvas, *, lines: dict[str, list[tuple[float, Row]]]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes = canvas.axes
    ticks = sorted({shots for found in lines.values() for shots, _ in found})
    _log_axis(axes, ticks)
    for name, found in lines.items():
        shots = [place for place, _ in found]
        row = found[0][1]
        axes.plot(
            shots,
            [100 * one.accuracy for _, one in found],
            label=canvas.label(name),
            linestyle=DASHES[row.number % len(DASHES)],
            **row.look,
        )
        bands = [one.values["interval"] for _, one in found if one.values.get("interval")]
        if len(bands) == len(found):
            axes.fill_between(
                shots,
                [100 * band[0] for band in bands],
                [100 * band[1] for band in bands],
                color=row.look["color"],
                alpha=0.13,
                linewidth=0,
            )
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training images of each class")
    axes.set_ylabel("accuracy, %")
    canvas.legend(2)
