"""The family `tlf`: its networks' weights lie beside this module."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from tlf.errors import WeightsError
from tlf.plugin import BackboneFamily, InputConfig, Options, WeightsInfo
from tlf_builtin.embedded.network import ResNet20

_HERE = Path(__file__).parent


class Embedded(BackboneFamily[Options]):
    """Networks that come with tlf, small enough for its wheel."""

    def models(self) -> Sequence[str]:
        """Return the one name."""
        return ["resnet20"]

    def input_config(self, model: str, *, default_weights: bool = True) -> InputConfig:  # noqa: ARG002
        """Return what the weights were trained to see: small digits, grey around 0.5."""
        side = 20
        half = (0.5, 0.5, 0.5)
        return InputConfig(size=side, resize=side, interpolation="bilinear", mean=half, std=half)

    def create(self, model: str, image_size: int) -> nn.Module:  # noqa: ARG002
        """Create the network with random weights; it takes images of any size."""
        return ResNet20()

    def classifier(self, network: nn.Module) -> str:  # noqa: ARG002
        """Return the path of the linear layer."""
        return "fc"

    def weights(self, model: str) -> WeightsInfo:
        """Return what the file of provenance says."""
        known = _provenance(model)
        return WeightsInfo(
            source=known["source"],
            digest=known["sha256"],
            licence=known["licence"],
            size_bytes=known["bytes"],
        )

    def local_weights(self, model: str) -> Path:
        """Return the file: it is always here."""
        return _HERE / f"{model}.safetensors"

    def fetch(self, model: str) -> Path:
        """Return the file.

        Raises:
            WeightsError: It is not what was shipped.
        """
        path = self.local_weights(model)
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if found != _provenance(model)["sha256"]:
            raise WeightsError(
                f"the weights of `tlf/{model}` in `{path}` are not those that tlf was shipped with",
                hint="install tlf again",
            )
        return path


def _provenance(model: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((_HERE / f"{model}.json").read_text(encoding="utf-8"))
    return known
