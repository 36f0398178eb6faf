"""The curves of range tests as a picture: a panel for each step, with every repeat and the choice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tlf.report.drawing import DASHES, INK, MUTED, SERIES, Canvas, picture

#: How high losses are drawn, in multiples of where a curve begins: what explodes would flatten all.
_HIGHEST = 1.6


def rates_picture(rates: dict[str, Any]) -> str:
    """Return the curves as an SVG file.

    Args:
        rates: What `LearningRates.as_json` returned, with at least one step that was tested.
    """
    panels = [
        (step["name"], tested)
        for step in rates["steps"]
        for tested in (step["together"], *step["groups"])
        if tested is not None
    ]
    return picture(
        [partial(_paint, step=step, tested=tested) for step, tested in panels],
        title=f"Range test of {rates['name']}",
        description="; ".join(f"step {step}: {_said(tested)}" for step, tested in panels) + ".",
    )


def _said(tested: dict[str, Any]) -> str:
    if tested["rate"] is None:
        return str(tested["note"]).partition(",")[0]
    low, high = tested["interval"]
    return f"rate {tested['rate']:.2g}, repeats from {low:.2g} to {high:.2g}"


def _label(canvas: Canvas, groups: Sequence[str]) -> str:
    """Return what the rates of a panel are rates of."""
    if not groups:
        return "training.learning_rate"
    stages = [group.rpartition(":")[0] for group in groups]
    ends = [canvas.label(stage) for stage in dict.fromkeys((stages[0], stages[-1]))]
    return f"peak rate of {' to '.join(ends)} alone; the others learn as planned"


def _paint(canvas: Canvas, *, step: str, tested: dict[str, Any]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes, repeats = canvas.axes, tested["repeats"]
    for number, repeat in enumerate(repeats):
        look: dict[str, Any] = {"color": SERIES[number % len(SERIES)]}
        curve, reading = repeat["curve"], repeat["reading"]
        axes.plot(curve["rates"], curve["losses"], linestyle="", marker="o", markersize=1.8,
                  alpha=0.45, **look)  # fmt: skip
        axes.plot(curve["rates"], reading["smoothed"], linestyle=DASHES[number % len(DASHES)],
                  label=f"seed {repeat['seed']}", **look)  # fmt: skip
    if tested["interval"] is not None:
        low, high = tested["interval"]
        axes.axvspan(low, high, color=MUTED, alpha=0.2, linewidth=0, label="repeats")
        axes.axvline(tested["rate"], color=INK, linewidth=1.1, label=f"rate {tested['rate']:.2g}")
    axes.axvline(tested["planned"], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)),
                 label=f"the spec's {tested['planned']:.2g}")  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    top = _HIGHEST * max(repeat["reading"]["begin"] for repeat in repeats)
    axes.set_ylim(0, top)
    title = f"step {canvas.label(step)}: {_said(tested)}"
    axes.set_title(title, loc="left", fontsize=8.5)
    axes.set_xlabel(_label(canvas, tested["groups"]))
    axes.set_ylabel("training loss")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
