"""What the page of a comparison shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from tlf.report.blocks import Block, Cell, Charts, Column, Content, Heading, Section, Table, Text
from tlf.report.ranking import ACCURACY, COST, Row, accuracy_charts, cost_charts, shots_charts
from tlf.report.reading import ComparisonFiles
from tlf.report.words import (
    NOTHING,
    count,
    counted,
    interval,
    isolated,
    joined,
    left_to_right,
    metric,
    metric_title,
    percent,
    points,
    points_interval,
    probability,
    seconds,
    size,
)

#: Metrics beside the accuracy have a column each, up to so many.
_METRICS = 4


def comparison_content(files: ComparisonFiles) -> Content:
    """Return what is on the page of a comparison.

    Args:
        files: The files of the comparison's directory.
    """
    comparison = files.comparison
    rows = _rows(comparison)
    groups = comparison.get("groups") or [{"name": ""}]
    return Content(
        title=str(comparison.get("name") or "comparison"),
        kicker="Comparison",
        lead=str(comparison.get("advice") or ""),
        under=_under(comparison, rows),
        sections=[
            Section("ranking", "Ranking", _ranking(rows, groups)),
            Section("accuracy", "Accuracy", _charts(comparison, rows, groups)),
            Section("differences", "Differences", _differences(comparison, groups)),
            Section("failed", "Failed runs", _failed(comparison, groups)),
            Section("runs", "Runs", _runs(files, groups)),
            Section("method", "Method", _method(comparison)),
        ],
    )


def _rows(comparison: dict[str, Any]) -> list[Row]:
    """Return the rows, each with the accuracies of its seeds."""
    runs = comparison.get("runs") or []

    def each(row: dict[str, Any]) -> tuple[float, ...]:
        mine = (run for run in runs if run.get("row") == row["name"] and _group(run) == _group(row))
        values = ((run.get("metrics") or {}).get("accuracy") for run in mine)
        return tuple(value for value in values if value is not None)

    names = list(dict.fromkeys(row["name"] for row in comparison.get("rows") or ()))
    return [
        Row(names.index(row["name"]), _group(row), each(row), row)
        for row in comparison.get("rows") or ()
    ]


def _group(record: dict[str, Any]) -> int:
    return int(record.get("group") or 0)


def _under(comparison: dict[str, Any], rows: Sequence[Row]) -> str:
    """Say what was compared, on what."""
    axes = [
        f"{len(axis['values'])} × {axis['label']}"
        for axis in comparison.get("axes") or ()
        if len(axis.get("values") or ()) > 1
    ]
    images, split = comparison.get("images_measured"), comparison.get("metrics_on") or ""
    parts = [
        ", ".join(axes),
        counted(len(comparison.get("seeds") or ()), "seed"),
        f"{counted(images, f'{split} image')}" if images else "",
        counted(len(comparison.get("runs") or rows), "run"),
    ]
    return " · ".join(part for part in parts if part)


def _title(group: dict[str, Any]) -> str:
    return str(group.get("name") or "")


def _ranking(rows: Sequence[Row], groups: Sequence[dict[str, Any]]) -> list[Block]:
    """Return a table for each group, with what is to be said of it."""
    blocks: list[Block] = []
    for number, group in enumerate(groups):
        mine = [row for row in rows if row.group == number]
        if not mine:
            continue
        if len(groups) > 1:
            blocks.append(Heading(_title(group)))
            if group.get("advice"):
                blocks.append(Text(str(group["advice"])))
        blocks.append(_table(mine, _title(group) if len(groups) > 1 else ""))
    return blocks


def _table(rows: Sequence[Row], group: str) -> Table:
    """Return the rows of a group, the best first."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.values.get("metrics") or ()))
    metrics = [name for name in metrics if name != "accuracy"][:_METRICS]
    ordered = sorted(rows, key=_place)
    is_shared = len({row.values.get("rank") for row in rows}) < len(rows)
    columns = [
        Column("Name"),
        Column("Accuracy", numeric=True, hint="mean over the seeds, with its 95% interval"),
        Column("Time", numeric=True, hint="mean over the seeds"),
        *(Column(metric_title(name), numeric=True) for name in metrics),
        Column("Trainable", numeric=True, hint="the most parameters that learn at once"),
        Column("Images passed", numeric=True, hint="through the backbone, mean over the seeds"),
        Column("Memory", numeric=True, hint="at its peak"),
        Column("Seeds", numeric=True),
    ]
    of = f"{group}: a" if group else "A"
    how = "ranked by how many rows are really better" if is_shared else "the best first"
    cells = [_table_row(row.values, metrics) for row in ordered]
    return Table(f"{of}ccuracy and cost, {how}", columns, cells, sortable=True, look="ranked")


def _place(row: Row) -> tuple[float, float]:
    """Return what rows are ordered by: their rank, and their accuracy within it."""
    rank, accuracy = row.values.get("rank"), row.values.get("accuracy")
    return (math.inf if rank is None else rank, -(accuracy or 0.0))


def _table_row(row: dict[str, Any], metrics: Sequence[str]) -> list[Cell]:
    rank, accuracy, found = row.get("rank"), row.get("accuracy"), row.get("metrics") or {}
    missing = [
        counted(row.get(kind) or 0, words, words)
        for kind, words in (("failed", "failed"), ("not_run", "not run"))
        if row.get(kind)
    ]
    return [
        Cell(_ranked(str(row["name"]), rank), str(row["name"])),
        Cell(
            percent(accuracy),
            accuracy,
            small=interval(row["interval"]) if row.get("interval") else "",
        ),
        _number(seconds, row.get("seconds")),
        *(Cell(metric(name, found.get(name)), found.get(name)) for name in metrics),
        _number(count, row.get("trainable_parameters")),
        _number(count, row.get("images_through_backbone")),
        _number(size, row.get("peak_memory_bytes")),
        Cell(
            count(len(row.get("seeds") or ())),
            len(row.get("seeds") or ()),
            small=", ".join(missing),
            mark="failed" if row.get("failed") else "",
        ),
    ]


def _ranked(name: str, rank: int | None) -> str:
    return name if rank is None else left_to_right(f"{rank}. {isolated(name)}")


def _number(words: Callable[[float | None], str], value: float | None) -> Cell:
    return Cell(words(value), value)


def _charts(
    comparison: dict[str, Any], rows: Sequence[Row], groups: Sequence[dict[str, Any]]
) -> list[Block]:
    """Return the accuracies as pictures."""
    names = [_title(group) for group in groups]
    growth = shots_charts(rows, groups, comparison.get("axes") or [])
    accuracies, costs = accuracy_charts(rows, names), cost_charts(rows, names)
    if len(groups) == 1:
        drawn = [one for one in (growth, [*accuracies, *costs]) if one]
        return [Charts(charts) for charts in drawn]
    blocks: list[Block] = [Charts(growth)] if growth else []
    for title, charts in ((ACCURACY, accuracies), (COST, costs)):
        if charts:
            blocks += [Heading(title), Charts(charts)]
    return blocks


def _differences(comparison: dict[str, Any], groups: Sequence[dict[str, Any]]) -> list[Block]:
    """Return what can be told apart, and what cannot."""
    blocks: list[Block] = []
    differences = comparison.get("differences") or []
    several = len(groups) > 1
    if differences:
        real = sum(bool(one.get("is_real")) for one in differences)
        blocks.append(Text(f"{real} of {counted(len(differences), 'pair')} can be told apart."))
        rows = [
            [
                Cell(left_to_right(f"{isolated(one['first'])} – {isolated(one['second'])}")),
                *([Cell(_title(groups[_group(one)]))] if several else []),
                *_difference(one),
                Cell(probability(one.get("p_value")), one.get("p_value")),
            ]
            for one in differences
        ]
        columns = [
            Column("Pair", hint="the first minus the second"),
            *([Column("Group")] if several else []),
            *_DIFFERENCE,
            Column("p", numeric=True),
        ]
        caption = "Differences of accuracy in percentage points, the first minus the second"
        blocks.append(Table(caption, columns, rows, sortable=True))
    gains = comparison.get("gains") or []
    if gains:
        rows = [
            [Cell(str(one["row"])), Cell(f"{one['from']} → {one['to']}"), *_difference(one)]
            for one in gains
        ]
        columns = [Column("Name"), Column(_gains_of(comparison)), *_DIFFERENCE]
        caption = "What more images bring, in percentage points of accuracy"
        blocks.append(Table(caption, columns, rows, sortable=True))
    return blocks


_DIFFERENCE = [
    Column("Difference", numeric=True),
    Column("95% interval", numeric=True),
    Column("Told apart"),
]


def _difference(one: dict[str, Any]) -> list[Cell]:
    """Return a difference, its interval, and whether it is more than chance."""
    bounds, is_real = one.get("interval"), bool(one.get("is_real"))
    return [
        Cell(points(one.get("difference")), one.get("difference")),
        Cell(points_interval(bounds), bounds[0] if bounds else None),
        Cell("yes" if is_real else "no", mark="yes" if is_real else "no"),
    ]


def _gains_of(comparison: dict[str, Any]) -> str:
    """Return what is varied along the gains."""
    axes = comparison.get("axes") or ()
    labels = [axis["label"] for axis in axes if str(axis["path"]).startswith("data.")]
    return str(labels[0]).capitalize() if labels else "From and to"


def _failed(comparison: dict[str, Any], groups: Sequence[dict[str, Any]]) -> list[Block]:
    """Return why runs failed; runs that failed alike share a row."""
    reasons: dict[tuple[str, int, str], list[str]] = {}
    for run in comparison.get("runs") or ():
        if run.get("error"):
            key = (str(run["row"]), _group(run), str(run["error"]))
            reasons.setdefault(key, []).append(str(run.get("seed", "")))
    rows = [
        [Cell(_named(name, group, groups)), Cell(joined(seeds)), Cell(error)]
        for (name, group, error), seeds in reasons.items()
    ]
    columns = [Column("Name"), Column("Seeds"), Column("Why")]
    return [Table("Runs that failed", columns, rows)] if rows else []


def _named(name: str, group: int, groups: Sequence[dict[str, Any]]) -> str:
    title = _title(groups[group]) if group < len(groups) else ""
    return left_to_right(f"{isolated(name)}, {isolated(title)}") if title else name


def _runs(files: ComparisonFiles, groups: Sequence[dict[str, Any]]) -> list[Block]:
    """Return every run that finished, linked to its page where it has one."""
    rows = []
    for run in files.comparison.get("runs") or ():
        if run.get("error"):
            continue
        directory = run.get("directory") or ""
        link = f"{quote(directory)}/report.html" if directory in files.pages else ""
        found = run.get("metrics") or {}
        accuracy = found.get("accuracy")
        rows.append(
            [
                Cell(_named(str(run["row"]), _group(run), groups), link=link),
                Cell(str(run.get("seed", "")), run.get("seed")),
                Cell(percent(accuracy), accuracy),
                Cell(metric("loss", found.get("loss")), found.get("loss")),
                Cell(seconds(run.get("total_seconds")), run.get("total_seconds")),
                Cell(directory or NOTHING),
            ]
        )
    columns = [
        Column("Name"),
        Column("Seed", numeric=True),
        Column("Accuracy", numeric=True),
        Column("Loss", numeric=True),
        Column("Time", numeric=True),
        Column("Directory"),
    ]
    return [Table("Runs that finished", columns, rows, sortable=True)] if rows else []


def _method(comparison: dict[str, Any]) -> list[Block]:
    """Return how the numbers came about."""
    blocks: list[Block] = []
    method = comparison.get("method")
    if method:
        lines = method if isinstance(method, list) else [method]
        blocks += [Text(str(line)) for line in lines]
    blocks += [Text(str(note)) for note in comparison.get("notes") or ()]
    if comparison.get("images_decoded"):
        decoded = counted(comparison["images_decoded"], "image")
        blocks.append(Text(f"{decoded} were decoded, in all runs together.", "aside"))
    return blocks
