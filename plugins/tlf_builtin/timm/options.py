"""Options of the family `timm`: whatever the constructors of timm's networks take."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from pydantic import ConfigDict, Field, JsonValue, model_validator

from tlf.errors import did_you_mean
from tlf.plugin import Options

#: What tlf itself decides, each with where a spec says it.
RESERVED = {
    "checkpoint_path": "`backbone.weights` names a weights file",
    "features_only": "the stages of a network are found by tlf",
    "img_size": "`transforms.options.size` is the size of the images",
    "in_chans": "images have three channels here",
    "num_classes": "the data say how many classes there are",
    "pretrained": "`backbone.weights` is `default`, `none` or a file",
}


class TimmOptions(Options):
    """Options of `timm`: any argument of the network's constructor, `pad_type` say, by its name.

    Which ones a network takes differs from one to the next. A name that no network of timm takes is
    refused at once, and one that this network does not take when the run is planned.
    """

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    drop_rate: float | None = Field(
        default=None, ge=0.0, lt=1.0, description="Dropout before the classifier, in training."
    )
    drop_path_rate: float | None = Field(
        default=None,
        ge=0.0,
        lt=1.0,
        description="Stochastic depth: share of residual branches that are left out in training.",
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """What goes to the constructor: the options that are given, and not null."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _only_what_timm_takes(self) -> TimmOptions:
        for name in self.__pydantic_extra__:
            if name in RESERVED:
                raise ValueError(f"`{name}` cannot be set here: {RESERVED[name]}")
            if name not in known_arguments():
                near = did_you_mean(name, known_arguments())
                raise ValueError(f"no network of timm takes `{name}`; {near}")
        return self


@cache
def known_arguments() -> frozenset[str]:
    """Return the names of what the constructors of timm's classifiers take.

    timm has no list of them: its networks are the classes that take `num_classes`.
    """
    import timm.models
    from torch import nn

    networks = {
        value
        for module in vars(timm.models).values()
        if inspect.ismodule(module)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, nn.Module)
    }
    signatures = [inspect.signature(network).parameters for network in networks]
    names = {name for found in signatures if "num_classes" in found for name in found}
    return frozenset(names - RESERVED.keys() - {"args", "kwargs", "self", "device", "dtype"})
