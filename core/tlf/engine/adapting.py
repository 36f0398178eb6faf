"""What a strategy adds to a network before it is trained, and merges into it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from tlf.engine.parts import planning
from tlf.plugin import Outline, Strategy
from tlf.plugin.stages.prepared import (
    Prepared,
    UnfitError,
    finish_like,
    prepare_like,
    prepare_outline,
)

if TYPE_CHECKING:
    from tlf.engine.parts import Made
    from tlf.plugin import Backbone


@dataclass(frozen=True)
class Adapted:
    """What a strategy adds to a network.

    Attributes:
        strategy: The strategy, with the entry that answers for it.
        plain: The network without it.
        outline: The network with it.
        prepared: What was added, as plain data.
    """

    strategy: Made[Strategy[Any]]
    plain: Outline
    outline: Outline
    prepared: Prepared

    @property
    def options(self) -> dict[str, Any]:
        """The strategy's options, as plain data."""
        options: dict[str, Any] = self.strategy.part.options.model_dump(mode="json")
        return options

    def on(self, backbone: Backbone, seed: int) -> Backbone:
        """Return a backbone with what the strategy adds to it. The one that is given is used up.

        Args:
            backbone: With its weights, on the CPU.
            seed: Of the run: what is added begins with numbers that are drawn from it.

        Raises:
            PluginError: The strategy adds something else than it did to the outline.
        """
        with torch.random.fork_rng(devices=[]), self._blamed("`prepare`"):
            torch.manual_seed(seed)
            return prepare_like(
                backbone, lambda: self.strategy.part.prepare(backbone, self.plain), self.prepared
            )

    def off(self, backbone: Backbone) -> Backbone:
        """Return the library's network, with what was learned merged into it.

        Args:
            backbone: With what was added. Used up.

        Raises:
            PluginError: It is not the library's network.
        """
        with torch.no_grad(), self._blamed("`finish`"):
            return finish_like(backbone, lambda: self.strategy.part.finish(backbone), self.prepared)

    @contextmanager
    def _blamed(self, what: str) -> Iterator[None]:
        with self.strategy.calling(what), _refused(self.strategy, what):
            yield

    def as_json(self) -> dict[str, Any]:
        """Return what a report holds of what was added."""
        tensors = self.prepared.tensors
        count = sum(prod(tensors[name].shape) for name in self.prepared.adapters)
        hosts = list(self.prepared.hosts)
        return {"parameters": count, "options": self.options, "modules": hosts}


def adapt(
    strategy: Made[Strategy[Any]], outline: Outline, backbone: Callable[[], Backbone]
) -> Adapted | None:
    """Return what a strategy adds to a network; None if it adds nothing.

    Args:
        strategy: The strategy.
        outline: The network.
        backbone: Builds the network's backbone on the meta device.

    Raises:
        SpecError: The strategy's options cannot be carried out on this network.
        PluginError: What it adds cannot be trained, or never be merged.
    """
    methods = ("prepare", "finish")
    own = [n for n in methods if getattr(type(strategy.part), n) is not getattr(Strategy, n)]
    if not own:
        return None
    strategy.require(len(own) == len(methods), f"it has `{own[0]}` without {_other(own[0])}")
    outlined = backbone()
    with (
        torch.random.fork_rng(devices=[]),
        planning(strategy, "`prepare`"),
        _refused(strategy, "`prepare`"),
    ):
        made, prepared = prepare_outline(outlined, lambda: strategy.part.prepare(outlined, outline))
    stages = (*(stage.outline for stage in made.stages), outline.stages[-1])
    return Adapted(strategy, outline, replace(outline, stages=stages), prepared)


def _other(method: str) -> str:
    return "`finish`" if method == "prepare" else "`prepare`"


@contextmanager
def _refused(strategy: Made[Strategy[Any]], what: str) -> Iterator[None]:
    """Make a `PluginError` of what is wrong with a network that a strategy has changed."""
    try:
        yield
    except UnfitError as error:
        raise strategy.entry.broken(f"{what} {error}") from error
