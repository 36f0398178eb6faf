"""The probe: tries the largest step for memory and time before anything is spent on it.

It works on a copy of the network and on random images, draws from a generator of its own, and keeps
nothing. What it measures changes no number of the run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tlf.engine.determinism import operations_explained
from tlf.engine.generators import forked_generators
from tlf.engine.inference import Inference, empty_rows
from tlf.engine.loop import training_loss
from tlf.engine.losses import loss_of, one_hot
from tlf.engine.memory import memory_explained
from tlf.engine.model import Model
from tlf.engine.optimizer import StepOptimizer
from tlf.errors import Problem, SpecError
from tlf.planning import rate_factor

if TYPE_CHECKING:
    from tlf.engine.prepare import Job
    from tlf.planning import PlannedStep, RunPlan


@dataclass(frozen=True)
class Measurement:
    """What the probe saw of one step.

    Attributes:
        step: The step's name.
        seconds_per_batch: Of training, images in memory.
        peak_memory_bytes: Most memory that the process has held on the device so far.
    """

    step: str
    seconds_per_batch: float
    peak_memory_bytes: int


def largest_step(plan: RunPlan, cuts: Sequence[int]) -> int:
    """Return the index of the step that needs the most memory: the one with the shortest frozen part.

    Args:
        plan: The run's plan.
        cuts: Of each step, how many stages lie before the boundary of what is frozen.
    """

    def size(index: int) -> tuple[bool, int, int]:
        step = plan.steps[index]
        return step.kind != "train", cuts[index], -step.trainable_parameters

    return min(range(len(plan.steps)), key=size)


def probe_steps(
    job: Job, model: Model, inference: Inference, cuts: Sequence[int]
) -> tuple[Measurement, ...]:
    """Measure every step of a plan.

    Args:
        job: The planned run.
        model: The network; it is not touched.
        inference: The same network in evaluation.
        cuts: Of each step, how many stages lie before the boundary of what is frozen.

    Raises:
        RunError: A step does not fit into the memory.
        SpecError: A batch of one image is too little for the network.
    """
    return tuple(
        probe_step(job, model, inference, step, cut, batches=3)
        for step, cut in zip(job.plan.steps, cuts, strict=True)
    )


def probe_step(
    job: Job, model: Model, inference: Inference, step: PlannedStep, cut: int, *, batches: int = 1
) -> Measurement:
    """Train a copy of the network for a few batches.

    Args:
        job: The planned run.
        model: The network; it is not touched.
        inference: The same network in evaluation.
        step: Which groups learn.
        cut: How many stages lie before the boundary of what is frozen.
        batches: How many; the first is not timed if there are more.

    Raises:
        RunError: The step does not fit into the memory.
        SpecError: A batch of one image is too little for the network.
    """
    if step.kind != "train":
        return Measurement(step.name, 0.0, job.device.peak_memory_bytes())
    with forked_generators(job.device.torch_device):
        size = job.spec.training.batch_size
        device = job.plan.device["torch_device"]
        what = f"step `{step.name}`"
        explained = memory_explained(what, device=device, batch_size=size)
        with explained, operations_explained(lambda: what):
            inputs = _inputs(job, inference, cut)
            seconds = _train_copy(job, model, step, (inputs, cut), batches)
    return Measurement(step.name, seconds, job.device.peak_memory_bytes())


def _inputs(job: Job, inference: Inference, cut: int) -> torch.Tensor:
    """Return something of the shape of a batch that crosses the boundary."""
    count = min(job.spec.training.batch_size, len(job.dataset.splits["train"]))
    if cut == inference.stages:
        # All that is known of it must do: to compute it would take longer than all the rest.
        width = job.plan.stages[cut - 1]["output_shape"]
        return torch.zeros(count, *width, device=job.device.torch_device)
    size = job.transform.size
    images = torch.zeros(count if cut == 0 else 1, 3, size, size, device=job.device.torch_device)
    if job.device.channels_last:
        images = images.to(memory_format=torch.channels_last)
    crossing = inference.run(images, 0, cut)
    batch = empty_rows(crossing, count)
    batch[:] = crossing if cut == 0 else crossing[:1]
    return batch


def _train_copy(
    job: Job, model: Model, step: PlannedStep, start: tuple[torch.Tensor, int], batches: int
) -> float:
    inputs, cut = start
    copy = deepcopy(model)
    copy.thaw(step.trainable)
    optimizer = StepOptimizer(copy, step, job.spec.training, job.device.precision)
    labels = torch.arange(len(inputs), device=inputs.device) % len(job.plan.classes)
    loss = loss_of(job.spec.training, job.plan, None)
    if loss.several:
        labels = one_hot(labels, len(job.plan.classes))
    seconds = []
    for _ in range(batches):
        started = time.perf_counter()
        try:
            value = training_loss(copy, inputs, cut, labels, loss=loss, device=job.device)
        except ValueError as error:
            if len(inputs) > 1:
                raise
            raise _one_image(job, step, error) from error
        optimizer.backward(value)
        optimizer.step(rate_factor("constant", 0.0, 0.0))
        job.device.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:] or seconds)


def _one_image(job: Job, step: PlannedStep, error: ValueError) -> SpecError:
    """Return the error for a batch of one image, of which a norm can learn no statistics."""
    problem = Problem(
        "training.batch_size",
        f"step `{step.name}` cannot train `{job.spec.backbone.name}` on `1` image of "
        f"{job.transform.size} pixels at a time: {' '.join(str(error).split())}",
        "take at least 2 images a batch, or larger images (`transforms.options.size`)",
    )
    return SpecError([problem])
