"""A toy strategy that adds to a network and merges what it has added: a start for an author's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tlf.plugin import Backbone, Budget, Options, Outline, Strategy, Train


class ThinConvolution(nn.Module):
    """A convolution, and beside it another one through few channels, which begins with adding nothing.

    Args:
        inner: The convolution, without groups or dilation.
        channels: How many.
    """

    def __init__(self, inner: nn.Conv2d, channels: int = 2) -> None:
        super().__init__()
        self.inner = inner
        sizes = (inner.kernel_size, inner.stride, inner.padding)
        self.down = nn.Conv2d(inner.in_channels, channels, *sizes, bias=False)  # type: ignore[arg-type]
        self.up = nn.Conv2d(channels, inner.out_channels, 1, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what both give together.

        Args:
            x: `(N, C, H, W)`.
        """
        both: torch.Tensor = self.inner(x) + self.up(self.down(x))
        return both

    def merged(self) -> nn.Conv2d:
        """Return the one convolution that gives the same."""
        self.inner.weight += torch.einsum(
            "or,rchw->ochw", self.up.weight[:, :, 0, 0], self.down.weight
        )
        return self.inner


class ToyAdapters(Strategy[Options]):
    """A thin convolution beside each one of the backbone; these learn, and the head."""

    def prepare(self, backbone: Backbone, outline: Outline) -> None:  # noqa: ARG002
        """Add them.

        Args:
            backbone: The network.
            outline: The same as a planner sees it.
        """
        for path, module in list(backbone.module.named_modules()):
            if type(module) is nn.Conv2d and path in backbone.called:
                put(backbone.module, path, ThinConvolution(module))

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Train]:
        """Return the one step.

        Args:
            outline: The network with them.
            budget: What may be spent.
        """
        added = tuple(group for group in outline.groups if group.endswith(":adapter"))
        return [Train(name="adapters", trainable=(*added, outline.head), epochs=budget.epochs)]

    def finish(self, backbone: Backbone) -> None:
        """Merge them.

        Args:
            backbone: The network with them.
        """
        for path, module in list(backbone.module.named_modules()):
            if isinstance(module, ThinConvolution):
                put(backbone.module, path, module.merged())


def put(network: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module in the place of another.

    Args:
        network: The network.
        path: Of the place.
        module: The new one.
    """
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
