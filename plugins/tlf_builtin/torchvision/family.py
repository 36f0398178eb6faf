"""torchvision's classification models as backbones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models import Weights, WeightsEnum

from tlf.errors import WeightsError
from tlf.plugin import BackboneFamily, InputConfig, Options, WeightsInfo

#: Models whose builder has to be told the size of the images, each with the argument's name.
_SIZE_ARGUMENTS = {"maxvit": "input_size", "vit": "image_size"}

#: Models that normalise their input once more when their weights are torchvision's own.
_TRANSFORM_INPUT = ("googlenet", "inception_v3")

#: Auxiliary classifiers, which only the weights files of some models hold.
_AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


class Torchvision(BackboneFamily[Options]):
    """Every model that `torchvision.models.list_models` knows as a classifier of images."""

    def models(self) -> Sequence[str]:
        """Return the names, sorted."""
        return sorted(torchvision.models.list_models(module=torchvision.models))

    def input_config(self, model: str, *, default_weights: bool = True) -> InputConfig:
        """Return what torchvision's default weights of the model were trained to see.

        For other weights: what torchvision's first weights of the model were. Later ones come from a
        recipe of torchvision's own, with unusual sizes; the first follow the common one, which for
        most models takes the centre 224 of 256 pixels.
        """
        every = torchvision.models.get_model_weights(model)
        preset = (every.DEFAULT if default_weights else next(iter(every))).transforms()
        return InputConfig(
            size=preset.crop_size[0],
            # Some presets resize to less than they crop, and pad; nothing is to be padded here.
            resize=max(preset.resize_size[0], preset.crop_size[0]),
            interpolation=preset.interpolation.value,
            mean=tuple(preset.mean),
            std=tuple(preset.std),
        )

    def create(self, model: str, image_size: int) -> nn.Module:
        """Create the model with random weights."""
        arguments: dict[str, Any] = {}
        name = _SIZE_ARGUMENTS.get(model.partition("_")[0])
        if name is not None:
            arguments[name] = (image_size, image_size) if name == "input_size" else image_size
        if model in _TRANSFORM_INPUT:
            # Auxiliary classifiers only help training from scratch, and a backbone has none.
            arguments |= {"aux_logits": False, "init_weights": True, "transform_input": True}
        network: nn.Module = torchvision.models.get_model(model, weights=None, **arguments)
        return network

    def classifier(self, network: nn.Module) -> str:
        """Return the path of the last layer: linear, or a convolution in SqueezeNet."""
        layers: list[str] = [
            name
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        ]
        return layers[-1]

    def ignored_weights(self, model: str) -> tuple[str, ...]:
        """Return the prefixes of the auxiliary classifiers' tensors."""
        return _AUXILIARY.get(model, ())

    def weights(self, model: str) -> WeightsInfo:
        """Return where torchvision keeps the model's default weights."""
        weights = _default_weights(model)
        size = weights.meta.get("_file_size")
        return WeightsInfo(
            source=weights.url,
            # torchvision ends each file's name with the start of its digest.
            digest=Path(weights.url).stem.rpartition("-")[2],
            licence=weights.meta.get("license"),
            size_bytes=None if size is None else round(size * 2**20),
        )

    def local_weights(self, model: str) -> Path | None:
        """Return the file in torch's own cache if it is there."""
        path = _cached(self.weights(model))
        return path if path.is_file() else None

    def fetch(self, model: str) -> Path:
        """Return the file in torch's own cache, downloaded and checked if it is not there yet."""
        info = self.weights(model)
        path = _cached(info)
        if path.is_file():
            return path
        folder = path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Only the file: torchvision's own loader would unpickle it without restriction.
            torch.hub.download_url_to_file(info.source, str(path), info.digest, progress=False)
        except (OSError, RuntimeError) as error:
            raise WeightsError(
                f"the weights of `torchvision/{model}` cannot be fetched from `{info.source}` "
                f"({error})",
                hint=f"fetch the file elsewhere and name it in `backbone.weights`, or put it into "
                f"`{folder}`; `none` takes random weights",
            ) from error
        return path


def _cached(info: WeightsInfo) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(info.source).name


def _default_weights(model: str) -> Weights:
    weights: WeightsEnum = torchvision.models.get_model_weights(model).DEFAULT
    return weights.value
