"""How the network learned: curves, steps, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tlf.report.blocks import Beside, Block, Cell, Chart, Charts, Column, Section, Table, Text, bars
from tlf.report.drawing import DASHES, LINE, MARKERS, MUTED, SERIES, Canvas, chart
from tlf.report.reading import RunFiles
from tlf.report.words import (
    NOTHING,
    count,
    counted,
    decimal,
    metric_name,
    metric_title,
    percent,
    seconds,
    size,
)

#: What a run spends its time on, in words.
_WORK = {
    "prepare": "Building the network",
    "probe": "Trying the largest step",
    "data": "Reading and decoding images",
    "prefix": "Forward passes of what is frozen",
    "train": "Training",
    "evaluate": "Evaluating",
    "contract": "Proving that what is frozen stayed so",
}
#: With more epochs, markers would hide the line.
_MARKED_EPOCHS = 40


@dataclass(frozen=True)
class _Line:
    """One series of a chart over epochs."""

    name: str
    number: int
    points: list[tuple[int, float]]


def training_section(files: RunFiles) -> Section:
    """Return how the network learned.

    Args:
        files: The files of the run directory.
    """
    blocks: list[Block] = []
    charts = _curves(files.metrics)
    if charts:
        blocks.append(Charts(charts))
    steps = files.report.get("steps") or []
    if steps:
        blocks.append(_steps_table(files))
        blocks.append(_seconds_table(files))
    blocks += _time(files.report)
    return Section("training", "Training", blocks)


def _curves(records: Sequence[dict[str, Any]]) -> list[Chart]:
    """Return the learning curves; none of fewer than two epochs, which are no curve."""
    epochs = [record for record in records if record.get("train")]
    if len(epochs) < 2:
        return []

    def series(part: str, metric: str) -> list[tuple[int, float]]:
        return [
            (record["epoch"], record[part][metric])
            for record in epochs
            if (record.get(part) or {}).get(metric) is not None
        ]

    settled = [record for record in records if not record.get("train")]
    charts = []
    for metric in ("loss", "accuracy", "mean-average-precision"):
        parts = ("train", "validation", "selection")
        names = ("training", "validation", "held out to choose on")
        lines = [
            _Line(name, number, series(part, metric))
            for number, (part, name) in enumerate(zip(parts, names, strict=True))
        ]
        lines = [line for line in lines if len(line.points) > 1]
        ends = [
            (record["epoch"], record["validation"][metric])
            for record in settled
            if metric in (record.get("validation") or {})
        ]
        if lines:
            charts.append(_curve(metric, lines, ends, _spans(epochs)))
    return charts


def _spans(epochs: Sequence[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Return name, first and last epoch of each step that has epochs."""
    spans: list[tuple[str, int, int]] = []
    for record in epochs:
        step, epoch = str(record.get("step", "")), record["epoch"]
        if spans and spans[-1][0] == step:
            spans[-1] = (step, spans[-1][1], epoch)
        else:
            spans.append((step, epoch, epoch))
    return spans


def _curve(
    metric: str,
    lines: Sequence[_Line],
    settled: Sequence[tuple[int, float]],
    spans: Sequence[tuple[str, int, int]],
) -> Chart:
    words = decimal if metric == "loss" else percent
    said = [
        f"{line.name}: {words(line.points[0][1])} after epoch {line.points[0][0]}, "
        f"{words(line.points[-1][1])} after epoch {line.points[-1][0]}"
        for line in lines
    ]
    steps = f" Steps: {', '.join(f'{n} from epoch {a} on' for n, a, _ in spans)}."
    return chart(
        f"curve-{metric}",
        partial(_paint_curve, metric=metric, lines=lines, settled=settled, spans=spans),
        caption=f"{metric_title(metric)} after each epoch",
        description=f"{'. '.join(said)}.{steps if len(spans) > 1 else ''}",
    )


def _paint_curve(
    canvas: Canvas,
    *,
    metric: str,
    lines: Sequence[_Line],
    settled: Sequence[tuple[int, float]],
    spans: Sequence[tuple[str, int, int]],
) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = canvas.axes
    factor = 1 if metric == "loss" else 100
    for line in lines:
        epochs, values = zip(*line.points, strict=True)
        axes.plot(
            epochs,
            [factor * value for value in values],
            color=SERIES[line.number],
            linestyle=DASHES[line.number],
            marker=MARKERS[line.number] if len(epochs) <= _MARKED_EPOCHS else "",
            label=line.name,
        )
    if settled:
        epochs, values = zip(*settled, strict=True)
        axes.plot(
            epochs,
            [factor * value for value in values],
            color=SERIES[3],
            linestyle="",
            marker="D",
            markersize=6,
            fillstyle="none",
            label="after a step without epochs",
        )
    _paint_steps(canvas, spans)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss" if metric == "loss" else f"{metric_name(metric)}, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.legend()


def _paint_steps(canvas: Canvas, spans: Sequence[tuple[str, int, int]]) -> None:
    """Mark where a step ends and the next one begins."""
    if len(spans) < 2:
        return
    axes = canvas.axes
    axes.set_xlim(spans[0][1] - 0.5, spans[-1][2] + 0.5)
    room = 60 / (spans[-1][2] - spans[0][1] + 1)
    is_named = all(len(name) <= room * (last - first + 1) for name, first, last in spans)
    for number, (name, first, last) in enumerate(spans, 1):
        if number > 1:
            axes.axvline(first - 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        if number % 2 == 0:
            axes.axvspan(first - 0.5, last + 0.5, color=LINE, alpha=0.35, linewidth=0)
        axes.text(
            (first + last) / 2,
            1.02,
            canvas.label(name) if is_named else str(number),
            color=MUTED,
            fontsize=7.5,
            ha="center",
            transform=axes.get_xaxis_transform(),
        )


def _steps_table(files: RunFiles) -> Table:
    """Return what each step trained, and what came of it."""
    report = files.report
    kinds = {step["name"]: step.get("kind", "") for step in files.plan.get("steps") or ()}
    words = {"train": "gradient descent", "lbfgs": "solved: L-BFGS", "knn": "nearest neighbours",
             "combine": "averages weights"}  # fmt: skip
    several = files.several
    key = "mean_average_precision" if several else "accuracy"
    title = "Mean average precision" if several else "Accuracy"
    rows = []
    for number, step in enumerate(report["steps"], 1):
        kind = kinds.get(step["name"], "")
        rows.append(
            [
                Cell(f"{number}. {step['name']}", small=_chosen(step)),
                Cell(words.get(kind, kind) or NOTHING),
                Cell(count(step.get("epochs"))),
                Cell(count(step.get("trainable_parameters"))),
                Cell(count(step.get("frozen_parameters"))),
                Cell(percent(step.get(key))),
            ]
        )
    columns = [
        Column("Step"),
        Column("How"),
        Column("Epochs", numeric=True),
        Column("Trainable", numeric=True, hint="parameters that learn"),
        Column("Frozen", numeric=True, hint="parameters that do not"),
        Column(title, numeric=True, hint="of validation images, after the step"),
    ]
    return Table(f"Steps, with {title.lower()} on validation images after each", columns, rows)


def _chosen(step: dict[str, Any]) -> str:
    """Say what a step has chosen on data, if it has."""
    picked, selection = step.get("picked") or {}, step.get("selection") or {}
    words = []
    if picked.get("stages"):
        words.append(f"picked {', '.join(map(str, picked['stages']))}")
    if selection:
        best = selection.get("best_epoch")
        words.append("undone: no gain" if best is None else f"kept the weights of epoch {best}")
    solved, combined = step.get("solved") or {}, step.get("combined") or {}
    if solved.get("chosen") is not None:
        words.append(f"chose {_plain(solved['chosen'])}")
    if combined.get("shares"):
        words.append(f"shares {_plain(combined['shares'])}")
    return "; ".join(words)


def _plain(value: object) -> str:
    """Return a small JSON value as words."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return str(value)


def _seconds_table(files: RunFiles) -> Table:
    """Return how long each step took, and what was predicted of its frozen part."""
    step_of = {
        record.get("epoch"): record.get("step") for record in files.metrics if record.get("train")
    }
    spent: dict[tuple[Any, str], float] = {}
    for line in files.timings:
        for part in ("train", "data", "prefix"):
            key = (step_of.get(line.get("epoch")), part)
            spent[key] = spent.get(key, 0.0) + (line.get(f"{part}_seconds") or 0.0)
    rows = []
    for number, step in enumerate(files.report["steps"], 1):
        cache = step.get("cache") or {}
        parts = [spent.get((step["name"], part)) for part in ("train", "data", "prefix")]
        times = [step.get("seconds"), *parts, cache.get("seconds"), cache.get("seconds_without")]
        rows.append(
            [
                Cell(f"{number}. {step['name']}"),
                *(Cell(seconds(time), time) for time in times),
                Cell(_kept(cache, files.plan), small=str(cache.get("why") or "")),
            ]
        )
    columns = [
        Column("Step"),
        Column("In all", numeric=True),
        Column("Training", numeric=True),
        Column("Waiting for images", numeric=True),
        Column("Frozen part", numeric=True, hint="passed during the step's epochs"),
        Column("Predicted, frozen part", numeric=True, hint="decoding included, for all epochs"),
        Column("Predicted, nothing kept", numeric=True),
        Column("What is kept"),
    ]
    return Table("Seconds of each step, measured and predicted", columns, rows)


def _kept(cache: dict[str, Any], plan: dict[str, Any]) -> str:
    """Say what a step keeps of its frozen part."""
    level = cache.get("level")
    if level != "features":
        return {"decoded": "decoded images", "none": "nothing"}.get(str(level), NOTHING)
    cut, stages = cache.get("cut") or 0, plan.get("stages") or []
    if cut == len(stages) - 1:
        return "pooled features"
    place = f" after {stages[cut - 1]['name']}" if 0 < cut <= len(stages) else ""
    return f"activations{place}"


def _time(report: dict[str, Any]) -> list[Block]:
    """Return where the time went, and what the cache saved."""
    timings, cache = report.get("timings") or {}, report.get("cache") or {}
    total = timings.get("total_seconds")
    tables: list[Block] = []
    if total:
        parts = [(words, timings.get(f"{kind}_seconds") or 0.0) for kind, words in _WORK.items()]
        rest = total - sum(value for _, value in parts)
        shown = [one for one in [*parts, ("Everything else", rest)] if one[1] >= 0.001]
        tables.append(_times(f"Where the time went: {seconds(total)} in all", "Work", shown))
    if cache.get("predicted_seconds_without"):
        times = [
            ("Predicted, if nothing were kept", cache["predicted_seconds_without"]),
            ("Predicted", cache.get("predicted_seconds") or 0.0),
            ("Measured", cache.get("seconds") or 0.0),
        ]
        tables.append(_times("Images through what is frozen, decoding included", "Cache", times))
    blocks: list[Block] = [Beside(tables)] if tables else []
    if cache:
        blocks.append(Text(_cache_words(cache), look="aside"))
    return blocks


def _times(caption: str, title: str, times: Sequence[tuple[str, float]]) -> Table:
    columns = [Column(title), Column("Time", numeric=True)]
    return bars(caption, columns, [(words, seconds(value), value) for words, value in times])


def _cache_words(cache: dict[str, Any]) -> str:
    """Say what the cache held and was given."""
    found, computed = cache.get("rows_found") or 0, cache.get("rows_computed") or 0
    return (
        f"Cache ({cache.get('mode', '')}): {counted(found, 'row')} found, "
        f"{count(computed)} computed, {size(cache.get('bytes_kept') or 0)} kept "
        f"({size(cache.get('predicted_bytes') or 0)} predicted)."
    )
