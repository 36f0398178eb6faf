"""Numbers for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: What stands where there is no number.
NOTHING = "–"
#: The longest that a name is within a chart or a narrow heading, in columns of text.
_SHORT = 22


def is_number(value: object) -> bool:
    """Return whether a value is a number that can be shown.

    Args:
        value: Anything that JSON holds.
    """
    return isinstance(value, int | float) and math.isfinite(value)


def percent(value: float | None) -> str:
    """Return a share in [0, 1] as a percentage.

    Args:
        value: The share.
    """
    return f"{value:.1%}" if value is not None and is_number(value) else NOTHING


def points(value: float | None) -> str:
    """Return a difference of two shares in percentage points, with its sign.

    Args:
        value: The difference, in [-1, 1].
    """
    return f"{100 * value:+.1f}".replace("-", "−") if value is not None else NOTHING


def interval(bounds: Sequence[float] | None) -> str:
    """Return an interval of shares as percentages.

    Args:
        bounds: Lower and upper end, each in [0, 1].
    """
    return f"{percent(bounds[0])} to {percent(bounds[1])}" if bounds else NOTHING


def points_interval(bounds: Sequence[float] | None) -> str:
    """Return an interval of differences in percentage points.

    Args:
        bounds: Lower and upper end, each in [-1, 1].
    """
    return f"{points(bounds[0])} to {points(bounds[1])}" if bounds else NOTHING


def seconds(value: float | None) -> str:
    """Return a duration.

    Args:
        value: In seconds.
    """
    if value is None or not is_number(value):
        return NOTHING
    if value < 10:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(value / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def size(value: float | None) -> str:
    """Return a number of bytes.

    Args:
        value: The number.
    """
    if value is None or not is_number(value):
        return NOTHING
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= length:
            return f"{value / length:,.1f} {unit}"
    return f"{value:,.0f} bytes"


def count(value: float | None) -> str:
    """Return a number of things.

    Args:
        value: The number; a mean need not be whole.
    """
    return f"{value:,.0f}" if value is not None and is_number(value) else NOTHING


def counted(value: float, one: str, many: str | None = None) -> str:
    """Return a number of things with what they are: `1 image`, `2 images`.

    Args:
        value: The number.
        one: What one of them is called.
        many: What several are called; `one` with an s by default.
    """
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def decimal(value: float | None) -> str:
    """Return a number that is no share, such as a loss.

    Args:
        value: The number.
    """
    return f"{value:.3f}" if value is not None and is_number(value) else NOTHING


def probability(value: float | None) -> str:
    """Return a p-value.

    Args:
        value: In [0, 1].
    """
    if value is None or not is_number(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def metric(name: str, value: float | None) -> str:
    """Return the value of a metric.

    Args:
        name: Of the metric.
        value: Its value.
    """
    is_share = any(word in name for word in ("accuracy", "f1", "recall", "precision"))
    return percent(value) if is_share else decimal(value)


def metric_name(name: str) -> str:
    """Return what a metric is called in a sentence: `macro F1`.

    Args:
        name: Of the metric, as in a spec.
    """
    known = {"macro-f1": "macro F1", "micro-f1": "micro F1", "top-5-accuracy": "top-5 accuracy"}
    return known.get(name, name.replace("-", " "))


def metric_title(name: str) -> str:
    """Return what a metric is called in a heading: `Macro F1`.

    Args:
        name: Of the metric, as in a spec.
    """
    words = metric_name(name)
    return words[:1].upper() + words[1:]


def change(value: float | None) -> str:
    """Return a relative change: one that is small is not nothing.

    Args:
        value: The change, at least 0.
    """
    if value is None or not is_number(value):
        return NOTHING
    if 0 < value < 0.0001:
        return "< 0.01%"
    return f"{value:.2%}" if value < 0.1 else f"{value:.1%}"


def short(text: str, limit: int = _SHORT) -> str:
    """Return a text that fits into little room, with what was left out marked.

    Args:
        text: The text.
        limit: How many characters it may have.
    """
    return text if len(text) <= limit else text[: limit - 7] + "…" + text[-6:]


def joined(words: Sequence[str]) -> str:
    """Return some words as a list in a sentence.

    Args:
        words: The words.
    """
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)


def isolated(text: str) -> str:
    """Return a name for the middle of a text, where its direction must not turn that of the text.

    Args:
        text: The name, which may be written from right to left.
    """
    return text if text.isascii() else f"\u2068{text}\u2069"


def left_to_right(text: str) -> str:
    """Return a text that reads from left to right, whatever name it begins with.

    Args:
        text: The text, with its names isolated.
    """
    return f"\u200e{text}" if "\u2068" in text else text
