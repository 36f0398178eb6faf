"""The network that a run left behind: read from its artifact, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tlf.data import to_input
from tlf.engine.artifact import DESCRIPTION, Description, read_artifact
from tlf.engine.inference import Inference
from tlf.engine.model import LinearHead, Model
from tlf.engine.network import chunk_size_of, head_logits
from tlf.engine.parts import (
    Made,
    build_backbone,
    fitted_device,
    make_device,
    make_family,
    make_transform,
    models_of,
)
from tlf.engine.provenance import changes_since, parts_of_network, require_plugins
from tlf.engine.solve.neighbours import KnnHead
from tlf.errors import OutputError, PluginError, SpecError, did_you_mean
from tlf.plugin import BackboneFamily, Device, Task, Transform
from tlf.registry import load_registry


@dataclass(frozen=True)
class FinishedNetwork:
    """The network of a finished run, in evaluation.

    Attributes:
        classes: Names of the classes.
        transform: Makes its inputs.
        device: Where it is.
        inference: Its backbone.
        head: Its head.
        task: Whether an image is of exactly one class, or of any number of them.
        thresholds: From which probability on each class is named, if of any number.
    """

    classes: tuple[str, ...]
    transform: Transform[Any]
    device: Device
    inference: Inference
    head: torch.nn.Module
    task: Task = "single-label"
    thresholds: tuple[float, ...] = ()

    def views(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return images as evaluation sees them, uint8 `(N, 3, S, S)`.

        Args:
            images: What the transform's `load` made, at least one.
        """
        return self.transform.evaluate(torch.stack(list(images)))

    def inputs(self, views: torch.Tensor) -> torch.Tensor:
        """Return views as the network's input, float32 `(N, 3, S, S)`, on the device.

        Args:
            views: Uint8 `(N, 3, S, S)`.
        """
        return to_input(views, self.transform.mean, self.transform.std, self.device)

    @torch.no_grad()
    def run(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features `(N, width)` and logits `(N, classes)`, float32, on the device.

        Args:
            inputs: What `inputs` made.
        """
        features = self.inference.run(inputs, 0, self.inference.stages)
        return features, head_logits(self.head, features)


def load_network(
    folder: Path, warn: Callable[[str], None], device: Device | None = None
) -> FinishedNetwork:
    """Return the network of a finished run.

    `model.safetensors` and `model.json` are all that it takes. If `environment.json` lies beside them,
    it is compared with what is installed.

    Args:
        folder: The run directory.
        warn: Hears of a plugin whose code has changed since the run.
        device: Where it is to run; None for where the run was.

    Raises:
        OutputError: It is no finished run, or its files are damaged.
        PluginError: A plugin that the network needs is missing or broken.
    """
    description, state = read_artifact(folder)
    registry = load_registry()
    parts = parts_of_network(folder)
    require_plugins(parts, registry)
    family_name, _, model_name = description.backbone.name.partition("/")
    try:
        device = device or make_device(
            registry,
            description.device,
            lambda why: _unavailable(description.device.name, why),
        )
        transform = make_transform(registry, description.transforms, description.input).part
        family = make_family(registry, family_name, description.backbone.options)
        device = fitted_device(device, family)
        model = _build(family, model_name, description)
    except SpecError as error:
        problems = "; ".join(f"{problem.path}: {problem.message}" for problem in error.problems)
        raise OutputError(
            f"`{DESCRIPTION}` in `{folder}` describes what cannot be made here: {problems}",
            hint="it was changed, or made with other versions, which `environment.json` names",
        ) from error
    _load_state(model, state, folder)
    model.to(device)
    for change in changes_since(parts, registry):
        warn(change)
    chunk_size = chunk_size_of(device, transform.size)
    return FinishedNetwork(
        classes=tuple(description.classes),
        transform=transform,
        device=device,
        inference=Inference(model.backbone, device, chunk_size),
        head=model.head.eval(),
        task=description.task,
        thresholds=description.thresholds or (),
    )


def _unavailable(name: str, reason: str) -> PluginError:
    return PluginError(
        f"the run used the device `{name}`, which cannot be used here: {reason}",
        hint=f"change `device` in the run's `{DESCRIPTION}` to "
        '`{"name": "auto", "options": {}}`',
    )


def _build(family: Made[BackboneFamily[Any]], name: str, description: Description) -> Model:
    """Return the network that a description means, with random weights."""
    models = models_of(family)
    if name not in models:
        raise OutputError(
            f"`{DESCRIPTION}` names the model `{description.backbone.name}`, which its family does "
            "not have",
            hint=did_you_mean(name, models),
        )
    # The weights are drawn on the CPU, and then read.
    with torch.random.fork_rng(devices=[]):
        backbone = build_backbone(family, name, description.image_size)
        return Model(backbone, _build_head(description, backbone.output_width))


def _build_head(description: Description, width: int) -> LinearHead | KnnHead:
    neighbours, classes = description.neighbours, len(description.classes)
    if neighbours is None:
        return LinearHead(width, classes, description.head.options.dropout)
    return KnnHead(
        torch.zeros(neighbours.stored, width),
        torch.zeros(neighbours.stored, dtype=torch.int64)
        if description.task == "single-label"
        else torch.zeros(neighbours.stored, classes),
        classes,
        k=neighbours.k,
        temperature=neighbours.temperature,
    )


def _load_state(model: Model, state: Mapping[str, torch.Tensor], folder: Path) -> None:
    try:
        kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}
        if any(tensor.dtype != kinds.get(name, tensor.dtype) for name, tensor in state.items()):
            # torch would turn one kind of numbers into the other.
            raise RuntimeError("the tensors are of other kinds")
        model.load_state_dict(state)
    except RuntimeError as error:
        raise OutputError(
            f"the weights in `{folder}` do not fit the network that `{DESCRIPTION}` describes",
            hint="the libraries may have changed since; `environment.json` has their versions",
        ) from error
