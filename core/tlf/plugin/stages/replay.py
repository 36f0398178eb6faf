"""Running a part of a network: its own forward runs, with what lies before the part stubbed out.

Modules keep their code, names and modes. A module that is finished before the part begins returns
dummies of the right shapes, which nothing in the part reads; the tensor that crosses is put in where
the part begins; and where it ends, the forward pass is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_unflatten

from tlf.plugin.stages.cuts import Cut
from tlf.plugin.stages.split import DummyTensor, Stub

Forward = Callable[..., Any]


class _PartIsDoneError(Exception):
    """Leaves a forward pass at the end of a part."""

    def __init__(self, result: torch.Tensor) -> None:
        super().__init__()
        self.result = result


class Patches:
    """Replacements of modules' forward methods, undone together.

    Args:
        modules: By path.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._modules = modules
        self._undo: list[tuple[nn.Module, Forward | None]] = []

    def replace(self, name: str, make: Callable[[Forward], Forward]) -> None:
        """Replace the forward method of a module.

        Args:
            name: The module's path.
            make: Gets the present method and returns the new one.
        """
        module = self._modules[name]
        # Written past `nn.Module.__setattr__`, which looks for parameters at every call.
        own = module.__dict__.get("forward")
        self._undo.append((module, own))
        module.__dict__["forward"] = make(module.forward)

    def undo(self) -> None:
        """Put all methods back, the last first."""
        while self._undo:
            module, own = self._undo.pop()
            if own is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = own


def run_part(
    network: nn.Module,
    modules: Mapping[str, nn.Module],
    tensor: torch.Tensor,
    begin: tuple[Cut, tuple[Stub, ...]] | None,
    end: Cut | None,
    *,
    image_size: int,
    fill: float = 0.0,
) -> torch.Tensor:
    """Run the part of a network between two cuts.

    Args:
        network: The whole network.
        modules: Its modules by path.
        tensor: What crosses the first cut; images if there is none.
        begin: The first cut with its stubs, or None for the start of the network.
        end: The second cut, or None for the end of the network.
        image_size: Side of the square input image, in pixels.
        fill: What dummies are filled with.
    """
    patches = Patches(modules)
    inputs = tensor
    try:
        if begin is not None:
            cut, stubs = begin
            # What is kept must not change: it may be cached, or be needed for the backward pass.
            crossing = tensor.clone() if cut.overwritten else tensor
            size = (3, image_size, image_size)
            dummy = DummyTensor((2, *size), (3, *size), tensor.dtype, overwritten=False)
            inputs = _filled(dummy, tensor, fill)
            for stub in stubs:
                patches.replace(stub.module, _returning(stub, tensor, fill))
            patches.replace(cut.module, _injecting(cut, crossing))
        if end is not None:
            patches.replace(end.module, _leaving(end))
        result = network(inputs)
    except _PartIsDoneError as done:
        return done.result
    finally:
        patches.undo()
    return result  # type: ignore[no-any-return]


def _filled(dummy: DummyTensor, like: torch.Tensor, fill: float) -> torch.Tensor:
    value = fill if dummy.dtype.is_floating_point else 0
    single = torch.full((), value, dtype=dummy.dtype, device=like.device)
    # One number that poses as many, unless somebody is going to write into it.
    expanded = single.expand(dummy.shape(len(like)))
    return expanded.clone() if dummy.overwritten else expanded


def _returning(stub: Stub, like: torch.Tensor, fill: float) -> Callable[[Forward], Forward]:
    def forward(*_: object, **__: object) -> Any:  # noqa: ANN401 - whatever the module returns
        leaves = [
            _filled(leaf, like, fill) if isinstance(leaf, DummyTensor) else leaf
            for leaf in stub.leaves
        ]
        return tree_unflatten(leaves, stub.tree)

    return lambda _: forward


def _injecting(cut: Cut, tensor: torch.Tensor) -> Callable[[Forward], Forward]:
    if cut.kind == "out":
        return lambda _: lambda *_args, **_kwargs: tensor
    return lambda forward: lambda _, *more, **named: forward(tensor, *more, **named)


def _leaving(cut: Cut) -> Callable[[Forward], Forward]:
    def make(forward: Forward) -> Forward:
        def leave(*args: Any, **named: Any) -> None:  # noqa: ANN401 - whatever the module takes
            raise _PartIsDoneError(args[0] if cut.kind == "in" else forward(*args, **named))

        return leave

    return make
