"""How well each class is recognised, what is taken for what, and what probabilities are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from tlf.report.blocks import Beside, Block, Cell, Chart, Charts, Column, Section, Table, Text
from tlf.report.drawing import MUTED, SERIES, Canvas, chart
from tlf.report.labels import QUALITY, label_table
from tlf.report.reading import RunFiles
from tlf.report.words import NOTHING, count, counted, decimal, percent, short

#: The most classes that a confusion matrix can be read of.
_MATRIX_CLASSES = 20
_PAIRS = 20
#: Two-sided 95% point of the normal distribution.
_Z = 1.959964


def classes_section(files: RunFiles) -> Section:
    """Return what is said of each class.

    Args:
        files: The files of the run directory.
    """
    measured = files.report.get("classification") or {}
    classes = [str(name) for name in measured.get("classes") or ()]
    confusion = [tuple(entry) for entry in measured.get("confusion") or ()]
    blocks: list[Block] = []
    if classes and confusion and len(classes) <= _MATRIX_CLASSES:
        blocks.append(_matrix(classes, confusion))
        blocks.append(Text("A row for each label, a column for what it was taken for.", "aside"))
    tables: list[Block] = []
    if len(classes) > 2 and confusion:
        pairs = _pairs(classes, confusion)
        tables.append(pairs if pairs.rows else Text("No image was taken for another class."))
    if measured.get("task") == "multi-label":
        blocks.append(label_table(measured))
    elif measured.get("per_class"):
        tables.append(_per_class(measured["per_class"]))
    if tables:
        blocks.append(Beside(tables))
    return Section("classes", "Classes", blocks)


def _matrix(classes: Sequence[str], confusion: Sequence[tuple[int, ...]]) -> Table:
    """Return the confusion matrix; each row is coloured by its shares."""
    counts = {(label, predicted): number for label, predicted, number in confusion}
    rows = []
    for label, name in enumerate(classes):
        row = [counts.get((label, predicted), 0) for predicted in range(len(classes))]
        total = sum(row)
        cells = [
            Cell(
                count(number),
                heat=number / total if total else 0.0,
                mark=("right" if label == predicted else "wrong") if number else "none",
            )
            for predicted, number in enumerate(row)
        ]
        rows.append([Cell(short(name, 30)), *cells, Cell(count(total), mark="total")])
    columns = [
        Column("Label"),
        *(Column(short(name, 16), numeric=True) for name in classes),
        Column("Images", numeric=True),
    ]
    return Table(
        "Confusion matrix",
        columns,
        rows,
        look="matrix",
    )


def _pairs(classes: Sequence[str], confusion: Sequence[tuple[int, ...]]) -> Table:
    """Return the pairs of classes that are confused most."""
    totals = [0] * len(classes)
    for label, _, number in confusion:
        totals[label] += number
    wrong = [entry for entry in confusion if entry[0] != entry[1] and entry[2]]
    wrong.sort(key=lambda entry: (-entry[2], entry[0], entry[1]))
    rows = [
        [
            Cell(classes[label]),
            Cell(classes[predicted], mark="name"),
            Cell(count(number), number),
            Cell(percent(number / totals[label]), number / totals[label]),
        ]
        for label, predicted, number in wrong[:_PAIRS]
    ]
    columns = [
        Column("Label"),
        Column("Taken for"),
        Column("Images", numeric=True),
        Column("Of the label", numeric=True),
    ]
    left = len(wrong) - len(rows)
    more = f", the first {len(rows)} of {count(len(wrong))} pairs" if left > 0 else ""
    return Table(f"What is confused most{more}", columns, rows, sortable=True)


def _per_class(per_class: Sequence[dict[str, Any]]) -> Table:
    """Return precision, recall and F1 of each class; of many classes the weakest first."""
    is_long = len(per_class) > _MATRIX_CLASSES
    if is_long:
        per_class = sorted(per_class, key=lambda one: one.get("f1") or 0.0)
    rows = [
        [
            Cell(str(one["class"])),
            Cell(count(one.get("images")), one.get("images")),
            *(Cell(percent(one.get(name)), one.get(name)) for name in ("precision", "recall")),
            Cell(percent(one.get("f1")), one.get("f1"), bar=one.get("f1") or 0.0),
        ]
        for one in per_class
    ]
    columns = [Column("Class"), Column("Images", numeric=True), *QUALITY]
    never = sum(one.get("precision") is None for one in per_class)
    why = f"; {NOTHING} where a class is never predicted" if never else ""
    order = ", the weakest first" if is_long else ""
    return Table(f"Each class{order}{why}", columns, rows, sortable=True, look="bars")


def calibration_section(files: RunFiles) -> Section:
    """Return what the network's probabilities are worth.

    Args:
        files: The files of the run directory.
    """
    measured = (files.report.get("classification") or {}).get("calibration") or {}
    temperature = files.analysis.get("temperature") or {}
    after = temperature.get("after") or {}
    blocks: list[Block] = []
    charts = [
        _reliability("reliability", "As trained", measured),
        _reliability("reliability-after", "With the temperature", after),
    ]
    error = measured.get("expected_calibration_error")
    if error is not None:
        blocks.append(
            Text(
                f"Expected calibration error {percent(error)}: by so much do probabilities differ "
                "from how often they are right, on average over images."
            )
        )
    if temperature:
        blocks.append(Text(_temperature_words(temperature)))
    elif files.analysis.get("temperature_why_not"):
        blocks.append(Text(f"No temperature: {files.analysis['temperature_why_not']}", "aside"))
    drawn = [one for one in charts if one is not None]
    if drawn:
        blocks.append(Charts(drawn))
    return Section("calibration", "Calibration", blocks)


def _temperature_words(temperature: dict[str, Any]) -> str:
    """Say what a temperature is, and what it does."""
    before, after = temperature.get("before") or {}, temperature.get("after") or {}
    error = "expected_calibration_error"
    value = temperature.get("value") or 1.0
    what = "less sure" if value > 1 else "surer"
    where = f"{counted(temperature.get('images') or 0, 'image')} of {temperature.get('chosen_on')}"
    return (
        f"Temperature {value:.2f}, chosen on {where}, makes the network {what}: calibration error "
        f"{percent(before.get(error))} before and {percent(after.get(error))} after, loss "
        f"{decimal(before.get('loss'))} and {decimal(after.get('loss'))}. "
        "What is predicted stays the same."
    )


def _reliability(key: str, title: str, calibration: dict[str, Any]) -> Chart | None:
    """Return a reliability diagram, unless there are too few bins to show anything."""
    bins = [one for one in calibration.get("bins") or () if one.get("images")]
    if len(bins) < 2:
        return None
    error = calibration.get("expected_calibration_error")
    said = "; ".join(
        f"{percent(one['confidence'])} sure, {percent(one['accuracy'])} right, "
        f"{counted(one['images'], 'image')}"
        for one in bins
    )
    of = f": calibration error {percent(error)}" if error is not None else ""
    return chart(
        key,
        partial(_paint_reliability, bins=bins),
        caption=f"{title}{of}",
        description=f"Confidence against accuracy. {said}.",
        height=3.3,
    )


def _paint_reliability(canvas: Canvas, *, bins: Sequence[dict[str, Any]]) -> None:
    axes = canvas.axes
    axes.plot(
        [0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle="--", label="as sure as right"
    )
    total = sum(one["images"] for one in bins)
    for one in bins:
        low, high = wilson(one["accuracy"], one["images"])
        x = 100 * one["confidence"]
        axes.plot([x, x], [100 * low, 100 * high], color=SERIES[0], linewidth=1, alpha=0.55)
    axes.scatter(
        [100 * one["confidence"] for one in bins],
        [100 * one["accuracy"] for one in bins],
        s=[14 + 170 * one["images"] / total for one in bins],
        color=SERIES[0],
        label="images of a bin; the larger, the more",
        zorder=3,
    )
    axes.set_xlabel("confidence, % (how sure the network is)")
    axes.set_ylabel("accuracy, %")
    axes.set_xlim(0, 103)
    axes.set_ylim(-3, 104)
    canvas.legend(2)


def wilson(share: float, number: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson, 1927).

    Args:
        share: In [0, 1].
        number: What it is a share of, at least 1.
    """
    middle = (share + _Z**2 / (2 * number)) / (1 + _Z**2 / number)
    spread = share * (1 - share) / number + _Z**2 / (4 * number**2)
    half = _Z * math.sqrt(max(spread, 0.0)) / (1 + _Z**2 / number)
    return max(middle - half, 0.0), min(middle + half, 1.0)
