"""What a comparison comes to, in a plain sentence. Never a winner by noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tlf.engine.comparing.judging import Difference, Gain, Row

_Pairs = Mapping[frozenset[str], Difference]

#: Of two that are equally good, one is called cheaper from this ratio of seconds on.
CHEAPER = 1.5


def advise(rows: Sequence[Row], differences: Sequence[Difference], images: int) -> str:
    """Return what to take of a group of rows.

    Args:
        rows: The rows of one group.
        differences: Of their pairs.
        images: How many images each accuracy is of.
    """
    finished = [row for row in rows if row.accuracy is not None]
    if not finished:
        return "No run has finished, so nothing can be said."
    if len(finished) == 1:
        name = finished[0].name
        return f"`{name}` is the only one that has finished, so there is nothing to compare."
    by_pair = {frozenset((one.first, one.second)): one for one in differences}
    ranked = [row for row in finished if row.rank is not None]
    if not by_pair:
        return "The rows have no run with the same seed and images, so they cannot be compared."
    first = sorted((row for row in ranked if row.rank == 1), key=_cost)
    if len(first) == 1:
        # Best is what is really better than all others, not only than some.
        names = (first[0].name, *_not_told_apart(first[0], ranked, by_pair))
        first = [row for row in sorted(ranked, key=_cost) if row.name in names]
    if len(first) == 1:
        return _winner(first[0], ranked, by_pair)
    return _equals(first, by_pair, images)


def _not_told_apart(best: Row, ranked: Sequence[Row], by_pair: _Pairs) -> list[str]:
    found = {row.name: by_pair.get(frozenset((best.name, row.name))) for row in ranked}
    return [name for name, one in found.items() if name != best.name and not (one and one.is_real)]


def _winner(best: Row, ranked: Sequence[Row], by_pair: _Pairs) -> str:
    second = max((row for row in ranked if row is not best), key=_accuracy)
    found = by_pair[frozenset((best.name, second.name))]
    low, high = found.interval if found.first == best.name else _negative(found.interval)
    ratio = _ratio(best, second)
    cost = "at about the same cost"
    if ratio <= 1 / CHEAPER:
        cost = f"and {1 / ratio:.1f} times cheaper"
    elif ratio >= CHEAPER:
        cost = f"at {ratio:.1f} times the cost"
    return (
        f"`{best.name}` is the best here: {abs(found.difference) * 100:.1f} points "
        f"({low * 100:.1f} to {high * 100:.1f}) better than `{second.name}`, {cost} "
        f"({_seconds(best)} a run against {_seconds(second)})."
    )


def _equals(first: Sequence[Row], by_pair: _Pairs, images: int) -> str:
    cheapest = first[0]
    other = max((row for row in first if row is not cheapest), key=_accuracy)
    found = by_pair.get(frozenset((cheapest.name, other.name)))
    if found is None:
        return (
            f"`{cheapest.name}` and `{other.name}` have no run in common yet, so neither is better."
        )
    ratio = _ratio(other, cheapest)
    cost = f"{ratio:.1f} times cheaper" if ratio >= CHEAPER else "costs about the same"
    seeds = min(len(cheapest.seeds), len(other.seeds))
    return (
        f"`{cheapest.name}` is as good as `{other.name}` here, as far as can be seen, and {cost} "
        f"({_seconds(cheapest)} a run against {_seconds(other)}); with these {images} images and "
        f"{seeds} seed{'' if seeds == 1 else 's'} a difference under {found.visible * 100:.1f} points "
        "cannot be seen."
    )


def advise_on_labels(gains: Sequence[Gain], rows: Sequence[Row], label: str) -> str | None:
    """Return whether more labels would help, by the last step of the learning curve.

    Args:
        gains: Of all rows.
        rows: The rows of the group with the most labels.
        label: What the numbers count: `shots`.
    """
    best = sorted((row for row in rows if row.rank == 1), key=_cost)
    last = {one.row: one for one in gains}
    if not best or best[0].name not in last:
        return None
    found = last[best[0].name]
    low, high = (f"{end * 100:.1f}" for end in found.interval)
    way = f"from {found.before} to {found.after} {label} `{found.row}`"
    pays = found.is_real and found.difference > 0
    words = "More labels still pay" if pays else "More labels bring little that can be seen"
    return f"{words}: {way} gains {found.difference * 100:.1f} points ({low} to {high})."


def _accuracy(row: Row) -> float:
    return row.accuracy or 0.0


def _cost(row: Row) -> tuple[float, float]:
    return row.seconds or 0.0, -(row.accuracy or 0.0)


def _ratio(one: Row, other: Row) -> float:
    return max(one.seconds or 0.0, 1e-9) / max(other.seconds or 0.0, 1e-9)


def _seconds(row: Row) -> str:
    seconds = row.seconds or 0.0
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def _negative(interval: tuple[float, float]) -> tuple[float, float]:
    return -interval[1], -interval[0]
