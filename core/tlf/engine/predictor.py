"""Predicting with what a run left behind: its artifact, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from PIL.Image import Image

from tlf.data import UnreadableImageError, decode
from tlf.engine.artifact import Description, read_artifact
from tlf.engine.model import LinearHead, Model
from tlf.engine.network import evaluate_batches
from tlf.errors import DataError, OutputError, PluginError
from tlf.plugin import BackboneFamily, Device, DeviceBackend, Transform
from tlf.registry import Registry, load_registry

if TYPE_CHECKING:
    import numpy as np

    from tlf.spec.model import PartSpec


@dataclass(frozen=True)
class Prediction:
    """What the network says about one image.

    Attributes:
        source: The image's path, or its place in the list if it has none.
        label: Name of the likeliest class.
        probability: Its probability, in [0, 1].
        probabilities: Of the likeliest classes, in falling order.
    """

    source: str
    label: str
    probability: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read.

    Attributes:
        source: Its path, or its place in the list.
        reason: Why.
    """

    source: str
    reason: str


class Predictor:
    """The network of a finished run, ready to classify images.

    Args:
        model: The network, on the device.
        classes: Names of the classes.
        transform: Makes inputs.
        device: Where the network is.
    """

    def __init__(
        self, model: Model, classes: Sequence[str], transform: Transform[Any], device: Device
    ) -> None:
        self.classes = tuple(classes)
        self._model = model
        self._transform = transform
        self._device = device

    def predict(
        self,
        images: Sequence[str | Path | bytes | Image | np.ndarray],
        *,
        top: int | None = None,
    ) -> list[Prediction]:
        """Classify images.

        Args:
            images: Paths, bytes of image files, PIL images, or uint8 arrays `(H, W)` or `(H, W, 3)`.
            top: How many classes a prediction holds; all by default.

        Raises:
            DataError: An image cannot be read; all such are named.
        """
        results = list(self.stream(images, top=top))
        unreadable = [result for result in results if isinstance(result, Unreadable)]
        if unreadable:
            lines = [f"  `{result.source}`: {result.reason}" for result in unreadable]
            raise DataError(
                "\n".join([f"{len(lines)} of {len(results)} images cannot be read", *lines]),
                hint="leave them out",
            )
        return [result for result in results if isinstance(result, Prediction)]

    def stream(
        self,
        images: Sequence[str | Path | bytes | Image | np.ndarray],
        *,
        top: int | None = None,
    ) -> Iterator[Prediction | Unreadable]:
        """Yield a result for each image, in order; an image that cannot be read is one too.

        Args:
            images: See `predict`.
            top: How many classes a prediction holds; all by default.
        """
        chunk = self._device.chunk_size
        for start in range(0, len(images), chunk):
            loaded = [
                self._load(image, number)
                for number, image in enumerate(images[start : start + chunk], start=start)
            ]
            readable = [tensor for _, tensor in loaded if isinstance(tensor, torch.Tensor)]
            rows = iter(self._probabilities(readable)) if readable else iter(())
            for source, tensor in loaded:
                if isinstance(tensor, str):
                    yield Unreadable(source, tensor)
                else:
                    yield self._prediction(source, next(rows), top)

    def _load(
        self, image: str | Path | bytes | Image | np.ndarray, number: int
    ) -> tuple[str, torch.Tensor | str]:
        """Return the image's name, and its tensor or why there is none."""
        source = str(image) if isinstance(image, str | Path) else str(number)
        try:
            if isinstance(image, str | Path):
                image = Path(image).read_bytes()
            opened = image if isinstance(image, Image) else decode(image)
            return source, self._transform.load(opened)
        except UnreadableImageError as error:
            return source, str(error)
        except OSError as error:
            return source, error.strerror or str(error)

    def _probabilities(self, loaded: list[torch.Tensor]) -> torch.Tensor:
        valid = len(loaded)
        padded = loaded + [loaded[-1]] * (self._device.chunk_size - valid)
        views = self._transform.evaluate(torch.stack(padded))
        logits = evaluate_batches(self._model, [(views, valid)], self._transform, self._device)
        return logits.double().softmax(dim=1)

    def _prediction(self, source: str, row: torch.Tensor, top: int | None) -> Prediction:
        count = len(self.classes) if top is None else min(top, len(self.classes))
        likely = row.topk(count)
        probabilities = {
            self.classes[int(index)]: float(value)
            for value, index in zip(likely.values, likely.indices, strict=True)
        }
        label = next(iter(probabilities))
        return Prediction(source, label, probabilities[label], probabilities)


def load(run: str | Path) -> Predictor:
    """Load the network of a finished run.

    Only `model.safetensors` and `model.json` are read.

    Args:
        run: The run directory.

    Raises:
        OutputError: It is no finished run, or its files are damaged.
        PluginError: A plugin that the network needs is missing or broken.
    """
    folder = Path(run)
    description, state = read_artifact(folder)
    registry = load_registry()
    device = _create_device(registry, description.device)
    part = description.transforms
    entry = registry.get("transform", part.name)
    transform = cast("Transform[Any]", entry.create(entry.options(part.options), description.input))
    model = _build(registry, description, state, folder)
    model.to(device)
    return Predictor(model, description.classes, transform, device)


def _create_device(registry: Registry, part: PartSpec) -> Device:
    entry = registry.get("device", part.name)
    backend = cast("DeviceBackend[Any]", entry.create(entry.options(part.options)))
    availability = backend.is_available()
    if not availability.available:
        raise PluginError(
            f"the run used the device `{part.name}`, which cannot be used here: "
            f"{availability.reason}",
            hint='change `device` in the run\'s `model.json` to `{"name": "auto", "options": {}}`',
        )
    return backend.create()


def _build(
    registry: Registry,
    description: Description,
    state: Mapping[str, torch.Tensor],
    folder: Path,
) -> Model:
    family_name, _, name = description.backbone.name.partition("/")
    entry = registry.get("backbone-family", family_name)
    options = entry.options(description.backbone.options)
    family = cast("BackboneFamily[Any]", entry.create(options))
    with torch.random.fork_rng():
        backbone = family.build(name, description.image_size)
        dropout = description.head.options.dropout
        head = LinearHead(backbone.output_width, len(description.classes), dropout)
    model = Model(backbone, head)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise OutputError(
            f"the weights in `{folder}` do not fit the network that `model.json` describes",
            hint="the libraries may have changed since; `environment.json` has their versions",
        ) from error
    return model
