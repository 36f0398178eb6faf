"""Proof that frozen means frozen, and that what was thawed learns.

`requires_grad=False` alone freezes nothing: running statistics drift in train mode, and a parameter
that an optimizer still holds moves by momentum and decay. So the bytes are looked at.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tlf.errors import RunError

if TYPE_CHECKING:
    from tlf.engine.model import Model

#: Batches within which every thawed parameter must have had a gradient.
ARRIVAL_BATCHES = 8


def tensor_digest(tensor: torch.Tensor) -> str:
    """Return a digest of a tensor's values, bit for bit, with its shape and type.

    Args:
        tensor: On any device, in any memory format.
    """
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    digest = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
    digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


class FreezeContract:
    """Proves, step by step, that no byte of what is frozen has changed.

    A digest that is known stays valid until something may have changed its tensor, so a step begins
    with those that the step before it ended with.

    Args:
        model: The network.

    Attributes:
        seconds: What the proofs have taken.
    """

    def __init__(self, model: Model) -> None:
        self.seconds = 0.0
        self._model = model
        self._known: dict[str, str] = {}

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Return the digest of some parameters and buffers, by name.

        Args:
            names: As in the network's `tensors()`.
        """
        started = time.perf_counter()
        tensors = dict(self._model.named_tensors())
        wanted = list(names)
        for name in wanted:
            if name not in self._known:
                self._known[name] = tensor_digest(tensors[name])
        self.seconds += time.perf_counter() - started
        return {name: self._known[name] for name in wanted}

    def begin(self, frozen: Iterable[str]) -> dict[str, str]:
        """Return the digests of what is frozen in the step that begins, and forget all others.

        Args:
            frozen: Names of groups, `stage:kind`.
        """
        before = self.digests(frozen_tensors(self._model, frozen))
        self._known = dict(before)
        return before

    def forget(self, names: Iterable[str]) -> None:
        """Take note that tensors have been written to.

        Args:
            names: As in the network's `tensors()`.
        """
        for name in names:
            self._known.pop(name, None)

    def check(self, before: Mapping[str, str], step: str) -> None:
        """Fail if a frozen tensor has changed, or any parameter is another object than it was.

        Args:
            before: What `begin` returned.
            step: The step's name.

        Raises:
            RunError: Naming the tensors.
        """
        now = dict(self._model.named_tensors())
        # Nobody would train, watch or store the new one.
        _fail_on(
            [
                name
                for name, tensor in self._model.tensors().items()
                if now.get(name) is not tensor
                and (isinstance(tensor, torch.nn.Parameter) or name not in now)
            ],
            "parameters were replaced by others",
            step,
        )
        self._known = {}
        after = self.digests(before)
        changed = [name for name, digest in before.items() if after[name] != digest]
        _fail_on(changed, "frozen tensors changed", step)


def check_optimizer(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, torch.nn.Parameter], step: str
) -> None:
    """Fail if an optimizer does not hold all that a step trains, as when it is older than the thaw.

    Args:
        optimizer: The step's.
        parameters: What the step trains, by name.
        step: The step's name.

    Raises:
        RunError: Naming the parameters.
    """
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    missed = [name for name, parameter in parameters.items() if id(parameter) not in held]
    _fail_on(missed, "thawed parameters are not in the optimizer", step)


def _fail_on(names: Sequence[str], what: str, step: str) -> None:
    if names:
        raise RunError(
            f"{len(names)} {what} in step `{step}`: {_shown(names)}",
            hint="this is a fault of the backbone's plugin or of tlf, not of your spec; report it",
        )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:5]) + (" …" if len(names) > 5 else "")


def frozen_tensors(model: Model, frozen: Iterable[str]) -> list[str]:
    """Return the names of all parameters and buffers in frozen groups.

    Args:
        model: The network.
        frozen: Names of groups, `stage:kind`.
    """
    # A group without parameters is in no plan: its buffers are frozen whenever its stage learns
    # nothing, and constants otherwise.
    silent = [name for name, group in model.groups().items() if not group.parameters]
    return model.names_in([*frozen, *silent])


class GradientArrival:
    """Watches that every thawed parameter gets a gradient within the first batches of a step.

    A gradient of zeros counts: what is looked for are parameters that the loss does not reach at all,
    as happens silently when a compiled or wrapped network is older than the thaw.

    Args:
        parameters: The thawed parameters by name.
        step: The step's name.
        batches: Batches that the step has, if fewer than the rule allows.
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], step: str, batches: int
    ) -> None:
        self._waiting = dict(parameters)
        self._step = step
        self._left = min(ARRIVAL_BATCHES, batches)

    def state(self) -> dict[str, Any]:
        """Return what is still waited for, as plain data."""
        return {"left": self._left, "waiting": list(self._waiting)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned.

        Args:
            state: Of the same step.
        """
        self._left = state["left"]
        self._waiting = {name: self._waiting[name] for name in state["waiting"]}

    def look(self) -> None:
        """Look at the gradients; call after each backward pass, before they are cleared.

        Raises:
            RunError: The last batch has come, and a parameter never had a gradient.
        """
        if self._left == 0:
            return
        self._waiting = {name: p for name, p in self._waiting.items() if p.grad is None}
        self._left -= 1
        if self._left == 0 and self._waiting:
            names = sorted(self._waiting)
            raise RunError(
                f"{len(names)} parameters that step `{self._step}` trains never had a gradient: "
                f"{_shown(names)}",
                hint="the loss does not depend on them; freeze their stages or report the backbone",
            )
