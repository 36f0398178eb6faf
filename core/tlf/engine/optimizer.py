"""The optimizer of a step: it holds exactly what learns, and keeps what it knew of it.

In float16, small gradients would vanish: the loss is multiplied before the backward pass, and the
gradients are divided before they are used. If one of them overflowed, the step is left out and the
factor halved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from tlf.engine.model import Model
    from tlf.planning import PlannedStep
    from tlf.plugin import Precision
    from tlf.spec.model import TrainingSpec

#: Devices that torch has fused optimizers for.
FUSED = ("cpu", "cuda", "mps")


class StepOptimizer:
    """A torch optimizer over the groups of one step, addressed by parameter name.

    Args:
        model: The network.
        step: Says which groups learn, and at which peak rates.
        training: Kind of optimizer, decay, clipping.
        precision: What forward and backward passes are computed in.
        previous: The optimizer of the step before. Parameters that go on learning keep its state, and
            the scaler goes on.
        origin: What the parameters are drawn to that the step pulls, by name.

    Attributes:
        parameters: What learns, by name.
        scaler: Scales the gradients; switched off unless the precision is float16.
        torch_optimizer: The optimizer itself.
    """

    def __init__(
        self,
        model: Model,
        step: PlannedStep,
        training: TrainingSpec,
        precision: Precision,
        previous: StepOptimizer | None = None,
        origin: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        device = model.device.type
        self.scaler: torch.amp.GradScaler = (
            torch.amp.GradScaler(device, enabled=precision == "float16")
            if previous is None
            else previous.scaler
        )
        # If the very first step is left out, torch's fused SGD keeps a momentum that nobody wrote, and
        # uses it in the next one. An optimizer that is not fused is not called at all then.
        self._fused = device in FUSED and not self.scaler.is_enabled()
        self._model = model
        self.parameters = model.parameters_of(step.trainable)
        self.clip_norm = training.clip_norm
        self._groups = step.trainable
        self.set_peak_rates(step.rates)
        self._pull = step.pull
        # Of each group that is pulled, its parameters, each with what it is drawn to.
        self._drawn: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        groups = []
        for number, group in enumerate(step.trainable):
            parameters = model.parameters_of([group])
            if step.pull and origin is not None:
                self._drawn[number] = [
                    (one, state_beside(one, origin[name], fused=self._fused))
                    for name, one in parameters.items()
                    if name in origin
                ]
            # Adapters decay as weights do: what is drawn to 0 is what they add to the network.
            decays = group.endswith((":weight", ":adapter")) and not self._drawn.get(number)
            decay = training.weight_decay if decays else 0.0
            groups.append({"params": list(parameters.values()), "weight_decay": decay})
        self.torch_optimizer = _create(groups, training, fused=self._fused)
        if previous is not None:
            self._take_over(previous)

    def _take_over(self, previous: StepOptimizer) -> None:
        # Parameters are matched by identity: two tensors of equal values are two parameters.
        known = {id(p): state for p, state in previous.torch_optimizer.state.items()}
        for parameter in self.parameters.values():
            if id(parameter) in known:
                self.torch_optimizer.state[parameter] = known[id(parameter)]

    def set_peak_rates(self, rates: Mapping[str, float]) -> None:
        """Take other peak rates from now on.

        Args:
            rates: Of each group that learns.
        """
        self._peak_rates = [rates[group] for group in self._groups]

    @property
    def scale(self) -> float:
        """What the loss is multiplied by: 1 unless the precision is float16."""
        return self.scaler.get_scale()

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradients of a loss, scaled.

        Args:
            loss: One number.
        """
        torch.autograd.backward(self.scaler.scale(loss))

    def step(self, factor: float) -> None:
        """Take one step along the gradients, then clear them.

        In float16, a step whose gradients are not all finite is left out.

        Args:
            factor: What the schedule multiplies every peak rate by.
        """
        for group, peak in zip(self.torch_optimizer.param_groups, self._peak_rates, strict=True):
            group["lr"] = peak * factor
        self.scaler.unscale_(self.torch_optimizer)
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.clip_norm)
        self.scaler.step(self.torch_optimizer)
        scale = self.scale if self._pull else None
        self.scaler.update()
        # A smaller scale means that the step was left out.
        if scale is not None and self.scale >= scale:
            self._draw_back()
        # None and not zero: a zero gradient still moves a weight, by momentum and decay.
        self.torch_optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _draw_back(self) -> None:
        # Beside the gradient and not in it, like the decay: Adam would divide a penalty's gradient by
        # the size of the loss's (Loshchilov and Hutter, 2017, https://arxiv.org/abs/1711.05101).
        for number, drawn in self._drawn.items():
            rate = self.torch_optimizer.param_groups[number]["lr"]
            for parameter, origin in drawn:
                parameter.lerp_(origin, min(1.0, rate * self._pull))

    def forget(self, groups: Iterable[str] | None = None) -> None:
        """Drop what is known of parameters that are no longer where they were left.

        Args:
            groups: Their groups; None for all.
        """
        gone = self.parameters if groups is None else self._model.parameters_of(groups)
        for parameter in gone.values():
            self.torch_optimizer.state.pop(parameter, None)

    def state_by_name(self) -> dict[str, dict[str, Any]]:
        """Return the optimizer's state of each parameter, by the parameter's name."""
        return {
            name: dict(self.torch_optimizer.state[parameter])
            for name, parameter in self.parameters.items()
            if parameter in self.torch_optimizer.state
        }

    def load_state_by_name(self, state: dict[str, dict[str, Any]]) -> None:
        """Take over what `state_by_name` returned.

        Args:
            state: State by parameter name. A name that is not trained here is passed over.
        """
        for name, values in state.items():
            if name in self.parameters:
                parameter = self.parameters[name]
                self.torch_optimizer.state[parameter] = {
                    key: state_beside(parameter, value, fused=self._fused)
                    for key, value in values.items()
                }


def state_beside(parameter: torch.Tensor, value: Any, *, fused: bool) -> Any:  # noqa: ANN401
    """Return a value of an optimizer's state of a parameter as the optimizer wants it.

    Args:
        parameter: Whose state it is.
        value: As it comes from a file: on the CPU, in rows.
        fused: Whether the optimizer is of one kernel, which counts its steps where the parameter is.
    """
    if not isinstance(value, torch.Tensor):
        return value
    # A fused optimizer walks over the memory of a parameter and of its state side by side, so both
    # must have one memory format.
    if value.ndim and value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    return value.to(parameter.device) if fused else value


def _create(
    groups: list[dict[str, Any]], training: TrainingSpec, *, fused: bool
) -> torch.optim.Optimizer:
    spec = training.optimizer
    # `foreach` groups many small tensors into few kernels; `fused` is one kernel a tensor and the
    # quicker of the two on a CPU. Both compute the same update. None lets torch choose.
    kernel = True if fused else None
    if spec.name == "adamw":
        betas = (spec.beta1, spec.beta2)
        return torch.optim.AdamW(groups, lr=training.learning_rate, betas=betas, fused=kernel)
    nesterov = spec.momentum > 0
    return torch.optim.SGD(
        groups, lr=training.learning_rate, momentum=spec.momentum, nesterov=nesterov, fused=kernel
    )
