"""Images that the network is most sure of, right or wrong, and a map of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from tlf.report.blocks import (
    Block,
    Card,
    Charts,
    Details,
    Gallery,
    Picture,
    Section,
    Text,
)
from tlf.report.drawing import INK, MARKERS, MUTED, SERIES, SURFACE, WIDTH, Canvas, chart
from tlf.report.reading import RunFiles
from tlf.report.words import count, counted, isolated, left_to_right, percent

#: The only addresses that pictures of a page may have: they hold the picture itself.
_DATA_URI = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+")
#: More classes cannot be told apart by colour and marker.
_COLOURED_CLASSES = 8
#: More points make a page heavy and a cloud grey.
_POINTS = 2000

_Point = tuple[float, float, int, int]


def safe_picture(source: object, alt: str) -> list[Picture]:
    """Return a picture, or none if its address is not one of a picture within the page.

    Args:
        source: Its address.
        alt: What it shows.
    """
    is_safe = isinstance(source, str) and _DATA_URI.fullmatch(source)
    return [Picture(str(source), alt)] if is_safe else []


def mistakes_section(files: RunFiles) -> Section:
    """Return the mistakes that the network was surest of.

    Args:
        files: The files of the run directory.
    """
    analysis = files.analysis
    wrong, right = analysis.get("mistakes") or [], analysis.get("correct") or []
    blocks: list[Block] = []
    if not analysis:
        return Section("mistakes", "Mistakes", blocks)
    attribution = analysis.get("attribution") or {}
    if attribution:
        library = f" ({attribution['library']})" if attribution.get("library") else ""
        describes = str(attribution.get("describes") or "").rstrip(".")
        blocks.append(
            Text(
                f"Beside each image: {attribution.get('method', '')}{library}. {describes}.",
                "aside",
            )
        )
    elif analysis.get("attribution_why_not"):
        blocks.append(Text(f"No attribution: {analysis['attribution_why_not']}", "aside"))
    changed = analysis.get("disagreements")
    if changed:
        # Another machine or library, say: then the pictures speak of another network than the figures.
        said = "image is" if changed == 1 else "images are"
        blocks.append(
            Text(f"{count(changed)} {said} classified otherwise now than in the run.", "note")
        )
    if wrong:
        blocks.append(Gallery("Mistakes that the network was surest of", _cards(wrong)))
    else:
        blocks.append(Text("No mistake was made."))
    if right:
        gallery = Gallery("Images that it was surest of, and right", _cards(right))
        blocks.append(Details("Right, for comparison", [gallery]))
    return Section("mistakes", "Mistakes", blocks)


def _cards(images: Sequence[dict[str, Any]]) -> list[Card]:
    """Return images with what is said of them."""
    cards = []
    for one in images:
        label, predicted = str(one.get("label", "")), str(one.get("predicted", ""))
        is_right = label == predicted
        pictures = safe_picture(one.get("thumbnail"), f"image of {label}, predicted {predicted}")
        pictures += safe_picture(one.get("attribution"), f"what speaks for {predicted} in it")
        lines = [f"{percent(one.get('probability'))} sure"]
        if not is_right and one.get("label_probability") is not None:
            lines.append(f"{percent(one['label_probability'])} for {isolated(label)}")
        if one.get("largest_change") is not None:
            lines.append(f"covering changes up to {percent(one['largest_change'])}")
        apart = f"{isolated(label)}, taken for {isolated(predicted)}"
        title = label if is_right else left_to_right(apart)
        cards.append(Card(pictures, title, lines, str(one.get("id", ""))))
    return cards


def embedding_section(files: RunFiles) -> Section:
    """Return a map of the images.

    Args:
        files: The files of the run directory.
    """
    embedding = files.analysis.get("embedding") or {}
    points = [tuple(point[:4]) for point in embedding.get("points") or ()]
    if len(points) < 3:
        return Section("embedding", "Embedding")
    classes = _class_names(files)
    kept = points[:: -(-len(points) // _POINTS)]
    wrong = sum(point[2] != point[3] for point in points)
    drawn = "" if len(kept) == len(points) else f" {counted(len(kept), 'image')} of them are drawn."
    said = f"{counted(len(points), 'image')}, {wrong} of them wrong."
    method = str(embedding.get("method") or "")
    picture = chart(
        "embedding",
        partial(_paint_points, points=kept, classes=classes),
        caption="Each point is an image; neighbours are alike to the network",
        description=f"{said} {method}",
        width=WIDTH * 1.15,
        height=3.9,
    )
    text = f"{method.rstrip('.')}. " if method else ""
    return Section("embedding", "Embedding", [Text(f"{text}{said}{drawn}"), Charts([picture])])


def _class_names(files: RunFiles) -> list[str]:
    known = (files.report.get("classification") or {}).get("classes")
    return [str(name) for name in known or files.plan.get("classes") or ()]


def _paint_points(canvas: Canvas, *, points: Sequence[_Point], classes: Sequence[str]) -> None:
    axes = canvas.axes
    # Whatever the method, neither direction has a unit.
    axes.set(xticks=[], yticks=[])
    labels = sorted({point[2] for point in points})
    is_coloured = len(labels) <= _COLOURED_CLASSES
    right = [point for point in points if point[2] == point[3]]
    wrong = [point for point in points if point[2] != point[3]]
    size = 12 if len(points) > 400 else 20
    if is_coloured:
        for number, label in enumerate(labels):
            x, y = _places(point for point in points if point[2] == label)
            name = canvas.label(classes[label]) if label < len(classes) else str(label)
            axes.scatter(x, y, s=size, color=SERIES[number], marker=MARKERS[number], alpha=0.8,
                         linewidths=0, label=name)  # fmt: skip
    else:
        x, y = _places(right)
        axes.scatter(x, y, s=size, color=MUTED, alpha=0.45, linewidths=0, label="right")
    if wrong:
        x, y = _places(wrong)
        axes.scatter(x, y, s=2.2 * size, color=INK, marker="x", linewidths=0.9, label="wrong")
    if not is_coloured and len(labels) <= 24:
        for label in labels:
            x, y = _places(point for point in points if point[2] == label)
            name = canvas.label(classes[label]) if label < len(classes) else str(label)
            axes.text(_median(x), _median(y), name, ha="center", va="center", fontsize=9,
                      fontweight="bold", bbox={"facecolor": SURFACE, "edgecolor": "none",
                      "alpha": 0.75, "pad": 1.2})  # fmt: skip
    canvas.legend(3)


def _places(points: Iterable[_Point]) -> tuple[list[float], list[float]]:
    found = list(points)
    return [point[0] for point in found], [point[1] for point in found]


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
