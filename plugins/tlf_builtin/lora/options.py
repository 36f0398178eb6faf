"""The options of `lora`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tlf_builtin.body import FewParametersOptions

#: What stands for all layers of a kind.
KINDS = ("all", "convolution", "linear")


class LoraOptions(FewParametersOptions):
    """Options of `lora`."""

    rank: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Rank of what is added to the weights of a layer. A few are enough for the paper.",
    )
    alpha: float | None = Field(
        default=None,
        gt=0.0,
        le=1e6,
        description="What is added counts `alpha / rank` times. By default `alpha` is the rank: then "
        "it counts once, whatever the rank is.",
    )
    dropout: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Share of a layer's inputs that what is added does not see in training.",
    )
    targets: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=("all",),
        min_length=1,
        description="What something is added to: `linear` layers, `convolution`s or `all`; or the path "
        "of a module, in which `*` and `?` stand for any characters and any one, such as `*.attn.qkv`. "
        "By default all, since which layers matter differs from network to network.",
    )
    stages: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=("..",),
        min_length=1,
        description="Stages of the backbone in which something is added: names, ranges such as "
        "`layer3..`, or patterns with `*` and `?`. By default all. What lies before the first of them "
        "is computed once.",
    )
