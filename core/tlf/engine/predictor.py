"""Predicting with the network that a run left behind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL.Image import Image

from tlf.data import UnreadableImageError, decode
from tlf.discovery import describe
from tlf.engine.finished import FinishedNetwork, load_network
from tlf.engine.metrics import probabilities_of
from tlf.errors import DataError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Prediction:
    """What the network says about one image.

    Attributes:
        source: The image's path, or its place in the list if it has none.
        label: Name of the likeliest class.
        probability: Its probability, in [0, 1].
        probabilities: Of the likeliest classes, in falling order.
        labels: All classes that the image is taken to show, the likeliest first: `label` alone, or, if
            it may show any number of them, those at least as likely as their thresholds.
    """

    source: str
    label: str
    probability: float
    probabilities: Mapping[str, float]
    labels: tuple[str, ...] = ()


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
        network: The network.
    """

    def __init__(self, network: FinishedNetwork) -> None:
        self.classes = network.classes
        #: Whether an image is of exactly one class, or of any number of them.
        self.task = network.task
        #: From which probability on each class is named, if an image may be of any number.
        self.thresholds = dict(zip(network.classes, network.thresholds, strict=False))
        self._network = network

    def predict(
        self,
        images: Sequence[str | Path | bytes | Image | np.ndarray],
        *,
        top: int | None = None,
    ) -> list[Prediction]:
        """Classify images.

        Args:
            images: Paths, bytes of image files, PIL images, or uint8 arrays `(H, W)` or `(H, W, 3)`.
            top: How many classes a prediction holds, at least 1; all by default.

        Raises:
            DataError: An image cannot be read; all such are named. Or `images` is no list, or `top`
                is no number of classes.
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
            top: How many classes a prediction holds, at least 1; all by default.

        Raises:
            DataError: `images` is no list, or `top` is no number of classes. At once, before the
                first result is asked for.
        """
        _check_images(images)
        _check_top(top)
        return self._results(images, top)

    def _results(
        self, images: Sequence[str | Path | bytes | Image | np.ndarray], top: int | None
    ) -> Iterator[Prediction | Unreadable]:
        chunk = self._network.inference.chunk_size
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
        except UnreadableImageError as error:
            return source, str(error)
        except (OSError, ValueError) as error:
            # A ValueError: the path holds a character that none can.
            return source, getattr(error, "strerror", None) or str(error)
        try:
            return source, self._network.transform.load(opened)
        except Exception as error:  # noqa: BLE001 - one image must not end the others
            return source, f"the transform fails with {describe(error)}"

    def _probabilities(self, loaded: list[torch.Tensor]) -> torch.Tensor:
        network = self._network
        _, logits = network.run(network.inputs(network.views(loaded)))
        return probabilities_of(logits.cpu(), self.task)

    def _prediction(self, source: str, row: torch.Tensor, top: int | None) -> Prediction:
        count = len(self.classes) if top is None else min(top, len(self.classes))
        likely = row.topk(count)
        probabilities = {
            self.classes[int(index)]: float(value)
            for value, index in zip(likely.values, likely.indices, strict=True)
        }
        label = next(iter(probabilities))
        return Prediction(source, label, probabilities[label], probabilities, self._labels(row))

    def _labels(self, row: torch.Tensor) -> tuple[str, ...]:
        """Return the names of all classes that an image is taken to show."""
        if self.task == "single-label":
            return (self.classes[int(row.topk(1).indices)],)
        order = row.argsort(descending=True, stable=True).tolist()
        names = [(self.classes[index], float(row[index])) for index in order]
        return tuple(name for name, value in names if value >= self.thresholds[name])


def load(run: str | Path, *, warn: Callable[[str], None] = warnings.warn) -> Predictor:
    """Load the network of a finished run.

    `model.safetensors` and `model.json` are all that it takes. If `environment.json` lies beside them,
    it is compared with what is installed.

    Args:
        run: The run directory.
        warn: Hears of a plugin whose code has changed since the run. A Python warning by default.

    Raises:
        OutputError: It is no finished run, or its files are damaged.
        PluginError: A plugin that the network needs is missing or broken.
    """
    return Predictor(load_network(Path(run), warn))


def _check_images(images: object) -> None:
    is_one = isinstance(images, str | Path | bytes | Image)
    if is_one or not (hasattr(images, "__len__") and hasattr(images, "__getitem__")):
        shown = f"`{images}`" if isinstance(images, str | Path) else f"a `{type(images).__name__}`"
        raise DataError(
            f"`images` must be a list of images, not {shown}",
            hint="put a single image into brackets: `predict([image])`",
        )


def _check_top(top: object) -> None:
    if top is not None and (type(top) is not int or top < 1):
        raise DataError(
            f"`top` must be a whole number of classes, at least 1, not `{top!r}`",
            hint="leave it out for all classes",
        )
