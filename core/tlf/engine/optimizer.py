"""The optimizer of a step: it holds exactly what learns, and keeps what it knew of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from tlf.engine.model import Model
    from tlf.planning import PlannedStep
    from tlf.spec.model import TrainingSpec


class StepOptimizer:
    """A torch optimizer over the groups of one step, addressed by parameter name.

    Args:
        model: The network.
        step: Says which groups learn, and at which peak rates.
        training: Kind of optimizer, decay, clipping.
        previous: The optimizer of the step before. Parameters that go on learning keep its state.
    """

    def __init__(
        self,
        model: Model,
        step: PlannedStep,
        training: TrainingSpec,
        previous: StepOptimizer | None = None,
    ) -> None:
        self.parameters = model.parameters_of(step.trainable)
        self.clip_norm = training.clip_norm
        self._peak_rates = [step.rates[group] for group in step.trainable]
        self.torch_optimizer = _create(
            [
                {
                    "params": list(model.parameters_of([group]).values()),
                    "weight_decay": training.weight_decay if group.endswith(":weight") else 0.0,
                }
                for group in step.trainable
            ],
            training,
        )
        if previous is not None:
            self._take_over(previous)

    def _take_over(self, previous: StepOptimizer) -> None:
        # Parameters are matched by identity: two tensors of equal values are two parameters.
        known = {id(p): state for p, state in previous.torch_optimizer.state.items()}
        for parameter in self.parameters.values():
            if id(parameter) in known:
                self.torch_optimizer.state[parameter] = known[id(parameter)]

    def step(self, factor: float) -> None:
        """Take one step along the gradients, then clear them.

        Args:
            factor: What the schedule multiplies every peak rate by.
        """
        for group, peak in zip(self.torch_optimizer.param_groups, self._peak_rates, strict=True):
            group["lr"] = peak * factor
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.clip_norm)
        self.torch_optimizer.step()
        # None and not zero: a zero gradient still moves a weight, by momentum and decay.
        self.torch_optimizer.zero_grad(set_to_none=True)

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
                    key: _laid_out_like(parameter, value) for key, value in values.items()
                }


def _laid_out_like(parameter: torch.Tensor, value: Any) -> Any:  # noqa: ANN401 - state of any kind
    # A fused optimizer walks over the memory of a parameter and of its state side by side, so both
    # must have one memory format; files hold every tensor in rows.
    if isinstance(value, torch.Tensor) and value.shape == parameter.shape and value.ndim:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    return value


def _create(groups: list[dict[str, Any]], training: TrainingSpec) -> torch.optim.Optimizer:
    spec = training.optimizer
    # `foreach` groups many small tensors into few kernels; `fused` is one kernel a tensor and the
    # quicker of the two on a CPU. Both compute the same update.
    if spec.name == "adamw":
        betas = (spec.beta1, spec.beta2)
        return torch.optim.AdamW(groups, lr=training.learning_rate, betas=betas, fused=True)
    nesterov = spec.momentum > 0
    return torch.optim.SGD(
        groups, lr=training.learning_rate, momentum=spec.momentum, nesterov=nesterov, fused=True
    )
