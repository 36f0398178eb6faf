"""timm's classifiers as backbones."""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from timm.models import PretrainedCfg, get_pretrained_cfg
from torch import nn

from tlf.errors import Problem, SpecError, TlfError, WeightsError, did_you_mean
from tlf.plugin import Backbone, BackboneFamily, InputConfig, WeightsInfo
from tlf_builtin.timm.options import TimmOptions, known_arguments

#: What timm's files on the hub are called.
_FILE = "model.safetensors"

#: How the names of networks end that have no classifier: they encode images for language models.
_ENCODER = "_enc"


class Timm(BackboneFamily[TimmOptions]):
    """Every model that timm can create as a classifier, as `model` or `model.tag`.

    The tag names one of the weights that timm knows for the model; without one, its default.
    """

    def models(self) -> Sequence[str]:
        """Return the names, sorted, with and without tags."""
        return _models()

    def input_config(self, model: str, *, default_weights: bool = True) -> InputConfig:  # noqa: ARG002
        """Return what timm says of the weights that the name means.

        For weights from a file the same: they are likely to be of that kind.
        """
        config = _config(model)
        size = config.input_size[-1]
        interpolation: Literal["bilinear", "bicubic"] = (
            "bilinear" if config.interpolation == "bilinear" else "bicubic"
        )
        return InputConfig(
            size=size,
            # As timm's own evaluation does it; where it would pad, nothing is padded here.
            resize=max(size, math.floor(size / config.crop_pct)),
            interpolation=interpolation,
            mean=_three(config.mean),
            std=_three(config.std),
        )

    def create(self, model: str, image_size: int) -> nn.Module:
        """Create the model with random weights."""
        arguments = dict(self.options.arguments)
        if len(_classifiers(model)) > 1:
            # Two classifiers share the features, each a part of them or the average of both. Without
            # either, timm's own code joins the features in the way of that network.
            arguments["num_classes"] = 0
        elif not _config(model).num_classes:
            # Weights without a classifier: there must be one, so that it can be taken off.
            arguments["num_classes"] = 1000
        try:
            return _create(model, {**arguments, "img_size": image_size})
        except TypeError as error:
            if not _is_unknown(error, "img_size"):
                raise
        return _create(model, arguments)

    def build(self, model: str, image_size: int) -> Backbone:
        """Return the model as a backbone with random weights, split into stages.

        Raises:
            SpecError: The options are not for this model.
        """
        try:
            return super().build(model, image_size)
        except TlfError:
            raise
        except Exception as error:
            # A value that is not for this network may fail at any point, in any way.
            if not self.options.arguments:
                raise
            raise self._explained(model, error) from error

    def classifier(self, network: nn.Module) -> str | None:
        """Return the path of the last linear layer, or a convolution's; None if there are several."""
        head = network.get_classifier()  # type: ignore[operator]
        if not isinstance(head, nn.Module):
            return None
        path = next(name for name, module in network.named_modules() if module is head)
        layers = [
            f"{path}.{name}".removesuffix(".")
            for name, module in head.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        ]
        return layers[-1] if layers else None

    def ignored_weights(self, model: str) -> tuple[str, ...]:
        """Return the prefixes of the classifiers' tensors, where there are several."""
        several = _classifiers(model)
        if len(several) < 2:
            return ()
        return tuple(sorted({f"{name.partition('.')[0]}." for name in several}))

    def weights(self, model: str) -> WeightsInfo | None:
        """Return where timm would take the weights from: its hub, or else an address."""
        config = _config(model)
        if config.hf_hub_id:
            source = f"https://huggingface.co/{config.hf_hub_id}"
            return WeightsInfo(source=source, licence=config.license)
        address = _address(config)
        if address is None:
            return None
        return WeightsInfo(source=address, digest=_digest(address), licence=config.license)

    def local_weights(self, model: str) -> Path | None:
        """Return the file in the hub's cache, or in torch's, if it is there."""
        config = _config(model)
        if not config.hf_hub_id:
            path = _cached(_address(config))
            return path if path.is_file() else None
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(**_place_on_hub(config))
        return Path(found) if isinstance(found, str) else None

    def fetch(self, model: str) -> Path:
        """Return the file, downloaded if it is not here yet. Only the file: nothing is unpickled."""
        here = self.local_weights(model)
        if here is not None:
            return here
        config = _config(model)
        try:
            return _download(config)
        except Exception as error:
            # The hub's client raises a dozen kinds of errors, its HTTP library's among them.
            reason = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
            info = self.weights(model)
            source = info.source if info else "nowhere"
            raise WeightsError(
                f"the weights of `timm/{model}` cannot be fetched from `{source}` ({reason})",
                hint="fetch the file elsewhere and name it in `backbone.weights`; `none` takes "
                "random weights",
            ) from error

    def convert_weights(
        self, model: str, network: nn.Module, tensors: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return what timm's own filter makes of the tensors: new names, resampled positions."""
        module = sys.modules[timm.model_entrypoint(_architecture(model)).__module__]
        convert = getattr(module, "checkpoint_filter_fn", None)
        if convert is None:
            return tensors
        try:
            converted: Mapping[str, torch.Tensor] = convert(dict(tensors), network)
        except Exception:  # noqa: BLE001 - it expects the tensors of that network, and these are another's
            return tensors
        return converted

    def _explained(self, model: str, error: Exception) -> SpecError:
        """Return the error that says which of the options is not for this model."""
        given = self.options.arguments
        unknown = next((name for name in given if _is_unknown(error, name)), None)
        if unknown is None:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
            names = ", ".join(f"`{name}`" for name in given)
            what = f"`timm/{model}` does not work with these values of {names} ({reason})"
            return SpecError([Problem("backbone.options", what)])
        takes = known_arguments() & inspect.signature(_network_class(model)).parameters.keys()
        what = f"`timm/{model}` does not take `{unknown}`"
        return SpecError(
            [Problem(f"backbone.options.{unknown}", what, did_you_mean(unknown, takes))]
        )


def _create(model: str, arguments: Mapping[str, Any]) -> nn.Module:
    network: nn.Module = timm.create_model(model, pretrained=False, **arguments)
    # What timm never trains is no parameter: a fixed table of positions, say.
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.requires_grad:
                delattr(module, name)
                module.register_buffer(name, parameter.detach())
    return network


def _is_unknown(error: Exception, name: str) -> bool:
    # Python's own words, and those of timm's checks of the same.
    return (
        isinstance(error, TypeError)
        and "unexpected keyword argument" in str(error)
        and f"'{name}'" in str(error)
    )


def _architecture(model: str) -> str:
    return model.partition(".")[0]


@cache
def _models() -> tuple[str, ...]:
    names = {*timm.list_models(), *timm.list_pretrained()}
    return tuple(sorted(name for name in names if not _architecture(name).endswith(_ENCODER)))


@cache
def _config(model: str) -> PretrainedCfg:
    config = get_pretrained_cfg(model)
    assert config is not None
    return config


def _classifiers(model: str) -> tuple[str, ...]:
    names = _config(model).classifier
    return (names,) if isinstance(names, str) else tuple(names or ())


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _network_class(model: str) -> type[nn.Module]:
    with torch.device("meta"):
        return type(_create(model, {}))


def _place_on_hub(config: PretrainedCfg) -> dict[str, Any]:
    repository, _, revision = str(config.hf_hub_id).partition("@")
    return {
        "repo_id": repository,
        "filename": config.hf_hub_filename or _FILE,
        "revision": revision or None,
    }


def _address(config: PretrainedCfg) -> str | None:
    """Return where a file of plain tensors is, if there is one beside the hub."""
    address = config.url
    return address if isinstance(address, str) and address.endswith((".pth", ".pt")) else None


def _digest(address: str) -> str | None:
    # Some files' names end with the start of their digest.
    found = re.search(r"-([0-9a-f]{8,})\.", address)
    return found[1] if found else None


def _cached(address: str | None) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(address or "").name


def _download(config: PretrainedCfg) -> Path:
    if config.hf_hub_id:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(**_place_on_hub(config)))
    address = _address(config)
    if address is None:
        raise FileNotFoundError("timm knows of no weights")
    path = _cached(address)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(address, str(path), _digest(address), progress=False)
    return path
