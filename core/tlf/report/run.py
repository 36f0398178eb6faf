"""What the page of a run shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlf.report.again import again_section
from tlf.report.blocks import Beside, Block, Content, Section, Text, facts
from tlf.report.classes import calibration_section, classes_section
from tlf.report.data import data_section
from tlf.report.pictures import embedding_section, mistakes_section
from tlf.report.reading import RunFiles
from tlf.report.stages import stages_section
from tlf.report.training import training_section
from tlf.report.words import (
    count,
    counted,
    interval,
    metric,
    metric_name,
    metric_title,
    percent,
    seconds,
    size,
)


def run_content(files: RunFiles) -> Content:
    """Return what is on the page of a run.

    Args:
        files: The files of the run directory.
    """
    report = files.report
    notes = [
        f"{name} cannot be read; what it would have said is left out." for name in files.damaged
    ]
    return Content(
        title=str(report.get("name") or "run"),
        kicker="Run",
        lead=_lead(report),
        under=_under(files),
        sections=[
            Section("result", "Result", _result(files)),
            training_section(files),
            stages_section(files),
            classes_section(files),
            # These are about exactly one class an image.
            *(
                []
                if files.several
                else [
                    calibration_section(files),
                    mistakes_section(files),
                    embedding_section(files),
                ]
            ),
            data_section(files),
            again_section(files),
        ],
        notes=notes,
    )


def strategy_name(report: dict[str, Any]) -> str:
    """Return the name of a run's strategy.

    Args:
        report: What `report.json` holds.
    """
    strategy = report.get("strategy") or ""
    return str(strategy.get("name", "") if isinstance(strategy, dict) else strategy)


def _under(files: RunFiles) -> str:
    """Say what was fitted how, and when."""
    report = files.report
    started = str(files.environment.get("started") or "").replace("T", " ")[:16]
    parts = [strategy_name(report), report.get("backbone"), started]
    return " · ".join(str(part) for part in parts if part)


def _lead(report: dict[str, Any]) -> str:
    """Return the result in one sentence."""
    metrics = report.get("metrics") or {}
    images, split = report.get("images_measured"), report.get("metrics_on") or "measured"
    of = f"{counted(images, f'{split} image')}" if images else f"the {split} images"
    if "mean-average-precision" in metrics:
        bounds = report.get("mean_average_precision_interval")
        within = f" (95% interval {interval(bounds)}, by bootstrap over images)" if bounds else ""
        value = percent(metrics["mean-average-precision"])
        return f"Mean average precision {value} on {of}{within}."
    if "accuracy" not in metrics:
        values = [f"{metric_name(name)} {metric(name, x)}" for name, x in metrics.items()]
        return f"{', '.join(values)}, on {of}." if values else ""
    bounds = report.get("accuracy_interval")
    within = f" (95% interval {interval(bounds)})" if bounds else ""
    return f"{percent(metrics['accuracy'])} of {of} are classified correctly{within}."


def _result(files: RunFiles) -> list[Block]:
    """Return the metrics, and what they are of."""
    report = files.report
    metrics = report.get("metrics") or {}
    bounds = {
        "accuracy": report.get("accuracy_interval"),
        "mean-average-precision": report.get("mean_average_precision_interval"),
    }
    timings = report.get("timings") or {}
    measured = [
        (
            metric_title(name),
            metric(name, value)
            + (f" ({interval(within)})" if (within := bounds.get(name)) else ""),
        )
        for name, value in metrics.items()
    ]
    images, split = report.get("images_measured"), report.get("metrics_on")
    selection = report.get("selection_on")
    pairs = [
        ("Measured on", f"{counted(images, 'image')} of {split}" if images and split else ""),
        ("Weights from", str(report.get("weights_from") or "")),
        ("Images to choose on", str(selection or "none")),
        ("Classes", count(report["num_classes"]) if report.get("num_classes") else ""),
        ("Seed", _shown(str, report.get("seed"))),
        ("Time", _shown(seconds, timings.get("total_seconds"))),
        ("Images through the backbone", _shown(count, report.get("images_through_backbone"))),
        ("Peak memory", _shown(size, report.get("peak_memory_bytes"))),
        ("Precision", str(report.get("precision") or "")),
    ]
    tables = [facts("Metrics", measured)] if measured else []
    blocks: list[Block] = [Beside([*tables, facts("What was measured, and how", pairs)])]
    if not files.analysis:
        blocks.append(
            Text(
                "Not analysed yet: `tlf report RUN` adds "
                + (
                    "how far each stage moved, and the sizes of the images."
                    if files.several
                    else "mistakes with what the network looked at, calibration, a picture of the "
                    "embeddings, and how far each stage moved."
                ),
                look="aside",
            )
        )
    return blocks


def _shown(words: Callable[[float], str], value: float | None) -> str:
    return "" if value is None else words(value)
