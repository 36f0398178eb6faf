"""The artifact of a run: all that predicting needs, and nothing else.

`model.safetensors` holds the network's tensors and `model.json` the rest: classes, how to build the
network, how to make its input, and the precision it was evaluated in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import BaseModel, Field, ValidationError, model_validator
from safetensors import SafetensorError

from tlf.engine.files import read_json, read_tensors, write_json, write_tensors
from tlf.engine.solve.neighbours import KnnHead
from tlf.errors import OutputError
from tlf.plugin import InputConfig, Task
from tlf.spec.model import FORBID, HeadSpec, PartSpec

if TYPE_CHECKING:
    from tlf.engine.model import LinearHead, Model
    from tlf.engine.prepare import Job

SCHEMA_VERSION: Literal[1] = 1
DESCRIPTION = "model.json"
TENSORS = "model.safetensors"


class Neighbours(BaseModel):
    """A head that is made of training images.

    Attributes:
        k: How many of them vote.
        temperature: How much the nearest one counts.
        stored: How many there are.
    """

    model_config = FORBID

    k: Annotated[int, Field(ge=1)]
    temperature: Annotated[float, Field(gt=0.0)]
    stored: Annotated[int, Field(ge=1)]


class Description(BaseModel):
    """What `model.json` holds.

    Attributes:
        schema_version: Of this file.
        task: Whether an image is of exactly one class, or of any number of them.
        name: The run's name.
        classes: Names of the classes, in the order of the network's outputs.
        thresholds: From which probability on each class is named, if an image may be of several.
        backbone: Name and options.
        head: Name and options.
        neighbours: What stands in the place of the head, if it was solved for by `knn`.
        transforms: Name and options.
        input: What the backbone's weights were trained to see.
        image_size: Side of the square input image, in pixels.
        device: Name and options, with the precision that was chosen if the device has that option.
    """

    model_config = FORBID

    schema_version: Literal[1] = SCHEMA_VERSION
    task: Task = "single-label"
    name: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    thresholds: tuple[Annotated[float, Field(ge=0.0, le=1.0)], ...] | None = None
    backbone: PartSpec
    head: HeadSpec
    neighbours: Neighbours | None = None
    transforms: PartSpec
    input: InputConfig
    image_size: Annotated[int, Field(ge=1)]
    device: PartSpec

    @model_validator(mode="after")
    def _thresholds_of_all(self) -> Description:
        number = len(self.classes) if self.task == "multi-label" else None
        if number != (None if self.thresholds is None else len(self.thresholds)):
            raise ValueError("`thresholds` must be one for each class of a multi-label network")
        return self


def describe_model(
    job: Job, head: LinearHead | KnnHead, thresholds: Sequence[float] | None = None
) -> Description:
    """Return what predicting needs to know of a run's network.

    Args:
        job: The run.
        head: The network's head.
        thresholds: From which probability on each class is named, if an image may be of several.
    """
    spec = job.spec
    neighbours = None
    if isinstance(head, KnnHead):
        stored = len(head.labels)
        neighbours = Neighbours(k=head.k, temperature=head.temperature, stored=stored)
    return Description(
        task=job.plan.task,
        name=spec.name,
        classes=job.plan.classes,
        thresholds=None if thresholds is None else tuple(thresholds),
        backbone=PartSpec(name=spec.backbone.name, options=spec.backbone.options),
        head=spec.head,
        neighbours=neighbours,
        transforms=spec.transforms,
        input=job.input_config,
        image_size=job.transform.size,
        # The precision that was chosen, not the choice: another processor must not choose again.
        device=job.device_spec,
    )


def write_artifact(
    folder: Path, model: Model, job: Job, thresholds: Sequence[float] | None = None
) -> None:
    """Write `model.safetensors` and `model.json`.

    Args:
        folder: The run directory.
        model: The trained network.
        job: The run.
        thresholds: From which probability on each class is named, if an image may be of several.
    """
    write_tensors(folder / TENSORS, model.state_dict(), {"format": "pt"})
    write_json(
        folder / DESCRIPTION, describe_model(job, model.head, thresholds).model_dump(mode="json")
    )


def read_artifact(folder: Path) -> tuple[Description, dict[str, torch.Tensor]]:
    """Return what a run left for predicting.

    Args:
        folder: The run directory.

    Raises:
        OutputError: It is no finished run, or its files are damaged.
    """
    with _explained(folder):
        return read_description(folder), read_tensors(folder / TENSORS)


def read_description(folder: Path) -> Description:
    """Return what a run left for predicting, but for the tensors.

    Args:
        folder: The run directory.

    Raises:
        OutputError: It is no finished run, or its file is damaged.
    """
    with _explained(folder):
        return Description.model_validate(read_json(folder / DESCRIPTION))


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say in words what is wrong with the files of a run."""
    try:
        yield
    except FileNotFoundError as error:
        missing = DESCRIPTION if not (folder / DESCRIPTION).exists() else TENSORS
        raise OutputError(
            f"`{folder}` holds no finished run: `{missing}` is not there",
            hint="give the path that `tlf run` printed last",
        ) from error
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise OutputError(
            f"the network in `{folder}` cannot be read: {_reason(error)}",
            hint="the files are damaged or not of a run; run the spec again",
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"`{place}` of `{DESCRIPTION}` is wrong ({first['msg']})"
    return str(error)
