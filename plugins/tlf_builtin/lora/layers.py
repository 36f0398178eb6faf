"""Which layers of a network can have a low-rank addition; putting it on, and merging it."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

if TYPE_CHECKING:
    from tlf.plugin import Backbone
    from tlf_builtin.lora.options import LoraOptions

Kind = Literal["convolution", "linear"]


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer.

    Attributes:
        kind: Which of the two.
        obstacle: Why nothing can be added to it, as words that follow its name; None if it can.
    """

    kind: Kind
    obstacle: str | None


def layers_in(backbone: Backbone, stages: Collection[str]) -> dict[str, Layer]:
    """Return the convolutions and linear layers of some stages by path, in the network's order.

    Args:
        backbone: The network.
        stages: Names of the stages.
    """
    inside = {
        name.rpartition(".")[0]
        for stage in backbone.stages
        if stage.name in stages
        for group in stage.groups.values()
        for name in group.parameters
    }
    users = Counter(
        id(module.weight)
        for module in backbone.module.modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    )
    found = {}
    for path, module in backbone.module.named_modules():
        if path in inside and isinstance(module, nn.Linear | nn.Conv2d):
            kind: Kind = "linear" if isinstance(module, nn.Linear) else "convolution"
            obstacle = _obstacle(module, path in backbone.called, users[id(module.weight)])
            found[path] = Layer(kind, obstacle)
    return found


def _obstacle(module: nn.Linear | nn.Conv2d, called: bool, users: int) -> str | None:
    if not called:
        return (
            "is never called: what is around it reads its weights, and would not see the addition"
        )
    if users > 1:
        return "shares its weights with another layer, which would change with it"
    if type(module) not in (nn.Linear, nn.Conv2d):
        # It may standardise its weights, say: then a sum of weights is no sum of outputs.
        return (
            f"is a {type(module).__name__}, which does more with its weights than torch's own layer"
        )
    if isinstance(module, nn.Conv2d):
        if module.groups > 1:
            return "is a convolution in groups, into which peft cannot merge"
        if set(module.dilation) != {1} or module.padding_mode != "zeros":
            return "has a dilation or a padding that peft's additions would not have"
    return None


def add(network: nn.Module, paths: Collection[str], options: LoraOptions) -> None:
    """Put low-rank additions on layers, in place. They begin with adding nothing.

    Args:
        network: The network.
        paths: Of the layers.
        options: Rank and scale.
    """
    # peft says that it is a whole number, and divides by the rank: any number will do.
    alpha: Any = options.rank if options.alpha is None else options.alpha
    config = LoraConfig(
        r=options.rank,
        lora_alpha=alpha,
        lora_dropout=options.dropout,
        # One expression: in a list, a name would also mean every longer one that ends in it.
        target_modules="|".join(re.escape(path) for path in paths),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inject_adapter_in_model(config, network)
    # A note of peft's for its own files.
    vars(network).pop("peft_config", None)


def merge(network: nn.Module) -> None:
    """Add what was learned to the weights of the layers, and take the additions off, in place.

    Args:
        network: The network, with additions.
    """
    modules: Mapping[str, nn.Module] = dict(network.named_modules())
    for path, module in modules.items():
        if isinstance(module, LoraLayer):
            module.merge()
            parent, _, name = path.rpartition(".")
            setattr(modules[parent], name, module.get_base_layer())
