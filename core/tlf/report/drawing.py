"""Charts as SVG within the page, drawn by matplotlib.

Why matplotlib: it is well kept and many people know it, and a static SVG needs no script. So a chart
prints, opens from the disk for years to come, and can be described to a screen reader; libraries that
draw in the browser would put megabytes of script into every page.

Only the object-oriented interface is used. Settings are the library's defaults and those below, for as
long as a chart is drawn, so that nobody's own settings change a page. Colours are stand-ins that become
variables of the style sheet, so that charts follow the page into dark mode and onto paper. Texts from
data are stand-ins too: the library never sees a class's name, so it finds no formula in it, misses no
glyph for it, and need not escape it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from tlf.report.blocks import Chart
from tlf.report.words import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _stand_in(number: int) -> str:
    """Return a colour that no chart uses otherwise."""
    return f"#0100{number:02x}"


#: Text and lines of the chart itself; then what the series are drawn in.
INK, MUTED, LINE, SURFACE = (_stand_in(number) for number in range(4))
_NAMES = ["ink", "muted", "line", "surface"]
#: Told apart by people who are colour-blind too (Okabe and Ito, 2008); never by colour alone.
SERIES = tuple(_stand_in(number) for number in range(4, 12))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = (
    "-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)),
)  # fmt: skip
_NAMES += [f"series-{number}" for number in range(1, 9)]

#: What the colours are in a picture that stands by itself: those of the page in daylight.
_ON_WHITE = {
    "ink": "#1d2127",
    "muted": "#59616c",
    "line": "#dfe2e6",
    "surface": "#ffffff",
    "series-1": "#0072b2",
    "series-2": "#d55e00",
    "series-3": "#009e73",
    "series-4": "#aa4499",
    "series-5": "#2f9bd6",
    "series-6": "#b37b00",
    "series-7": "#44505c",
    "series-8": "#882255",
}

#: Width of a chart in inches, and in pixels of the style sheet.
WIDTH = 4.7
_PIXELS = 470

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "axes.formatter.use_mathtext": False,
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.borderaxespad": 0.1,
}


@dataclass
class Canvas:
    """What a chart is drawn on.

    Attributes:
        figure: The whole picture.
        axes: Its axes.
        labels: The texts from data, by their stand-ins.
    """

    figure: Figure
    axes: Axes
    labels: dict[str, str] = field(default_factory=dict)

    def label(self, text: str) -> str:
        """Return what the library draws in the place of a text from data.

        Args:
            text: The text; a long one is shortened.
        """
        shown = short(text)
        # Letters of East Asia are as wide as two others.
        columns = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in shown)
        stand_in = f"Zz{len(self.labels)}z".ljust(columns, "z")
        self.labels[stand_in] = shown
        return stand_in

    def legend(self, columns: int = 3) -> None:
        """Say above the chart which series is which.

        Args:
            columns: How many stand beside each other.
        """
        self.figure.legend(loc="outside upper left", ncols=columns, columnspacing=1.4)


def chart(
    key: str,
    paint: Callable[[Canvas], None],
    *,
    caption: str,
    description: str,
    height: float = 2.7,
    width: float = WIDTH,
) -> Chart:
    """Draw a chart.

    Args:
        key: Its name, which no other chart of the page has.
        paint: Draws it.
        caption: What it shows.
        description: What is to be seen in it, in words.
        height: In inches.
        width: In inches.
    """
    drawn, labels = _drawn([paint], key, width, height)
    svg = _page_svg(drawn, key, caption, description, labels)
    return Chart(caption, svg, round(_PIXELS * width / WIDTH))


def picture(
    paints: Sequence[Callable[[Canvas], None]], *, title: str, description: str, height: float = 2.6
) -> str:
    """Draw a picture that stands by itself, an SVG file: panels below each other, on white.

    Args:
        paints: Draw the panels.
        title: What it shows.
        description: What is to be seen in it, in words.
        height: Of a panel, in inches.
    """
    width = 1.5 * WIDTH
    drawn, labels = _drawn(paints, "picture", width, height * len(paints))
    svg = str(_page_svg(drawn, "picture", title, description, labels))
    for name, colour in _ON_WHITE.items():
        svg = svg.replace(f"var(--{name})", colour)
    size = f'width="{72 * width * 1.4:.0f}" style="background: #ffffff" font-family="sans-serif"'
    head = svg.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" {size} ', 1)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}\n'


def _drawn(
    paints: Sequence[Callable[[Canvas], None]], key: str, width: float, height: float
) -> tuple[str, dict[str, str]]:
    """Return the file that the library writes of some panels, and the texts from data in them."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    labels: dict[str, str] = {}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_SETTINGS, "svg.hashsalt": key})
        figure = Figure(figsize=(width, height), layout="constrained")
        for paint, axes in zip(
            paints, figure.subplots(len(paints), squeeze=False).flat, strict=True
        ):
            paint(Canvas(figure, axes, labels))
        file = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=nothing)
    return file.getvalue(), labels


def _page_svg(svg: str, key: str, caption: str, description: str, labels: dict[str, str]) -> Markup:
    """Return a picture as part of a page.

    Args:
        svg: The file that the library wrote.
        key: Name of the chart.
        caption: What it shows.
        description: What is to be seen in it, in words.
        labels: The texts from data, by their stand-ins.
    """
    svg = svg[svg.index("<svg") :]
    # Its style rule would hold for the whole page, and the page has the same one for charts.
    svg = re.sub(r"<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>|<metadata>.*?</metadata>", "",
                 svg, flags=re.DOTALL)  # fmt: skip
    svg = _named_apart(svg, key)
    svg = re.sub(r"#0100([0-9a-f]{2})", lambda found: f"var(--{_NAMES[int(found[1], 16)]})", svg)
    # Size alone: the font is the page's.
    svg = re.sub(r" ?font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r"font: (?:\w+ )*?([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r"Zz\d+z+", lambda found: str(escape(labels[found[0]])), svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    view_box = re.search(r'viewBox="[^"]*"', svg)
    assert view_box is not None
    head = (
        f'<svg {view_box[0]} role="img" aria-labelledby="{key}-title {key}-words">'
        f'<title id="{key}-title">{escape(caption)}</title>'
        f'<desc id="{key}-words">{escape(description)}</desc>'
    )
    return Markup(head + svg[svg.index(">") + 1 :].strip())


def _named_apart(svg: str, key: str) -> str:
    """Return a picture that names only what it refers to, by names of its own."""
    used = set(re.findall(r"(?:url\(#|href=\"#)([\w-]+)", svg))

    def name(found: re.Match[str]) -> str:
        return f' id="{key}-{found[1]}"' if found[1] in used else ""

    svg = re.sub(r' id="([\w.-]+)"', name, svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\1{key}-", svg)
    return svg.replace("xlink:href", "href")
