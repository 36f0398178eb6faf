"""What a run came to, read back: its metrics, its weights and its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from tlf.engine.artifact import TENSORS
from tlf.engine.files import file_digest, read_json, read_json_lines, read_tensors
from tlf.engine.pages import REPORT
from tlf.errors import OutputError

METRICS = "metrics.jsonl"
PREDICTIONS = "predictions.jsonl"

#: The files that a reproduction compares: times and paths are in the others.
COMPARED = (METRICS, TENSORS, PREDICTIONS)


@dataclass(frozen=True)
class Results:
    """What a finished run came to.

    Attributes:
        metrics: The lines of `metrics.jsonl`.
        predictions: The lines of `predictions.jsonl`, by the image's id.
        tensors: What `model.safetensors` holds, by name.
        report: What `report.json` holds.
        digests: Of each file that is compared.
    """

    metrics: tuple[Mapping[str, Any], ...]
    predictions: Mapping[str, Mapping[str, Any]]
    tensors: Mapping[str, torch.Tensor]
    report: Mapping[str, Any]
    digests: Mapping[str, str]


def read_results(folder: Path) -> Results:
    """Return what a finished run came to.

    Args:
        folder: The run directory.

    Raises:
        OutputError: The run did not finish, or a file is damaged.
    """
    if not (folder / REPORT).is_file():
        raise OutputError(
            f"the run in `{folder}` did not finish: there is no `{REPORT}`",
            hint="only a finished run has results that another can be compared with",
        )
    name = REPORT
    try:
        report = read_json(folder / name)
        name = METRICS
        metrics = tuple(read_json_lines(folder / name))
        name = PREDICTIONS
        predictions = {line["id"]: line for line in read_json_lines(folder / name)}
        name = TENSORS
        tensors = read_tensors(folder / name)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise OutputError(
            f"`{name}` of the run in `{folder}` cannot be read: {error}",
            hint="the file was damaged after the run; run the spec again",
        ) from error
    digests = {name: file_digest(folder / name) for name in COMPARED}
    return Results(metrics, predictions, tensors, report, digests)
