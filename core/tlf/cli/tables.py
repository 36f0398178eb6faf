"""Tables for people: 80 columns, readable without colour, nothing cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table


def table(columns: Sequence[str], rows: Sequence[Sequence[str | tuple[str, ...]]]) -> Table:
    """Return a table whose numbers are aligned to the right and whose words wrap.

    Args:
        columns: Headings; one that starts with `>` is aligned to the right.
        rows: A cell for each heading: a text, or the lines of one. A text has one line, whatever is in
            it: the name of a file may hold a line's end, and must not look like two.
    """
    made = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in columns:
        right = column.startswith(">")
        made.add_column(
            column.removeprefix(">"), justify="right" if right else "left", overflow="fold"
        )
    for row in rows:
        lines = [(cell,) if isinstance(cell, str) else cell for cell in row]
        made.add_row(*("\n".join(line.replace("\n", "\\n") for line in cell) for cell in lines))
    return made


def headline(metrics: Mapping[str, float]) -> tuple[str, float | None]:
    """Return what says best how good a network is, by its short name; None if that is not measured.

    Args:
        metrics: By name.
    """
    name = "mean-average-precision"
    return ("mAP", metrics[name]) if name in metrics else ("accuracy", metrics.get("accuracy"))


def percent(value: float | None) -> str:
    """Return a share in [0, 1] as a percentage, or a dash.

    Args:
        value: The share.
    """
    return "–" if value is None else f"{value:.1%}"


def interval(bounds: Sequence[float] | None) -> str:
    """Return an interval of shares in [0, 1] as percentages, or a dash.

    Args:
        bounds: Lower and upper end.
    """
    return "–" if bounds is None else f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def seconds(value: float | None) -> str:
    """Return a duration in words that fit, or a dash.

    Args:
        value: In seconds.
    """
    if value is None:
        return "–"
    if value < 120:
        return f"{value:.1f} s"
    minutes, left = divmod(int(value), 60)
    return f"{minutes} min {left} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def count(value: float | None) -> str:
    """Return a number of things in at most five characters, or a dash.

    Args:
        value: The number, not negative.
    """
    if value is None:
        return "–"
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * factor:
            scaled = value / factor
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{unit}"
    return f"{value:.0f}"


def size(value: float | None) -> str:
    """Return a number of bytes in units of 10^6 or 10^9 bytes, or a dash.

    Args:
        value: In bytes.
    """
    if value is None:
        return "–"
    return f"{value / 1e9:.1f} GB" if value >= 0.9995e9 else f"{value / 1e6:.0f} MB"
