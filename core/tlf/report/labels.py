"""How well each class is recognised where an image may have any number of them."""

from __future__ import annotations

from typing import Any

from tlf.report.blocks import Cell, Column, Table
from tlf.report.words import NOTHING, count, decimal, percent

#: From so many classes on the weakest come first.
_MANY_CLASSES = 20


#: The columns of what a class is recognised by, whatever the task.
QUALITY = (
    Column("Precision", numeric=True, hint="of what is called so, how much is so"),
    Column("Recall", numeric=True, hint="of what is so, how much is called so"),
    Column("F1", numeric=True, hint="the harmonic mean of both"),
)


def label_table(measured: dict[str, Any]) -> Table:
    """Return average precision, threshold, precision and recall of each class.

    Args:
        measured: The `classification` of a report on multi-label data.
    """
    per_class = measured.get("per_class") or []
    is_long = len(per_class) > _MANY_CLASSES
    if is_long:
        per_class = sorted(per_class, key=lambda one: one.get("average_precision") or 0.0)
    rows = [
        [
            Cell(str(one["class"])),
            Cell(count(one.get("images")), one.get("images")),
            Cell(
                percent(one.get("average_precision")),
                one.get("average_precision"),
                bar=one.get("average_precision") or 0.0,
            ),
            Cell(decimal(one.get("threshold")), one.get("threshold")),
            *(
                Cell(percent(one.get(name)), one.get(name))
                for name in ("precision", "recall", "f1")
            ),
        ]
        for one in per_class
    ]
    columns = [
        Column("Class"),
        Column("Images", numeric=True, hint="that show it"),
        Column("Average precision", numeric=True, hint="over all thresholds"),
        Column("Threshold", numeric=True, hint="the probability from which on it is named"),
        *QUALITY,
    ]
    chosen_on = measured.get("thresholds_chosen_on")
    how = (
        f"thresholds chosen on {chosen_on} images"
        if chosen_on
        else "all thresholds are 0.5: no images were held out to choose on"
    )
    order = ", the weakest first" if is_long else ""
    never = any(one.get("precision") is None or one.get("recall") is None for one in per_class)
    why = f"; {NOTHING} where a class is never named, or never there" if never else ""
    return Table(f"Each class{order}; {how}{why}", columns, rows, sortable=True, look="bars")
