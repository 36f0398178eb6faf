"""The moving average of the weights that learn, which may be better than the weights themselves."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from tlf.engine.snapshots import put_back

if TYPE_CHECKING:
    from tlf.engine.model import Model
    from tlf.engine.snapshots import Snapshot


class MovingAverage:
    """An exponential moving average of the weights of some groups, over the steps of an optimizer.

    Running statistics of norms are averaged like weights, and what counts batches is copied.

    Args:
        model: The network.
        groups: What learns.
        decay: Which share of the average stays at a step, in (0, 1). Over the first steps it is less,
            `(1 + t) / (10 + t)` at the `t`-th of them, so that what there was before is soon forgotten.

    Attributes:
        updates: How many steps it has seen.
    """

    def __init__(self, model: Model, groups: Iterable[str], decay: float) -> None:
        self._decay = decay
        tensors = model.tensors()
        # The tensors stay the objects that they are, so they are held here by name once and for all.
        self._weights = {name: tensors[name] for name in model.names_in(groups)}
        self._model = model
        self._average = _copies(self._weights)
        self.updates = 0

    @property
    def state(self) -> Snapshot:
        """The average, by tensor name, in the memory of the processor."""
        return {name: average.cpu() for name, average in self._average.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are, after a step of the optimizer."""
        self.updates += 1
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        for name, average in self._average.items():
            if average.is_floating_point():
                average.lerp_(self._weights[name], 1 - decay)
            else:
                average.copy_(self._weights[name])

    @contextmanager
    def in_place(self) -> Generator[None]:
        """Let the network have the average for the time of the block."""
        weights = _copies(self._weights)
        self.settle()
        try:
            yield
        finally:
            put_back(self._model, weights)

    def settle(self) -> None:
        """Let the network have the average from now on."""
        put_back(self._model, self._average)

    def load(self, state: Mapping[str, torch.Tensor], updates: int) -> None:
        """Go on where another one was.

        Args:
            state: Its average.
            updates: How many steps it had seen.
        """
        for name, average in self._average.items():
            average.copy_(state[name])
        self.updates = updates


def _copies(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
