"""Building the network of a run: backbone, weights, head, all on the device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tlf.data import to_input
from tlf.engine.model import LinearHead, Model
from tlf.engine.parts import build_backbone
from tlf.engine.weights import load_weights, read_weights

if TYPE_CHECKING:
    from typing import Any

    from tlf.engine.prepare import Job
    from tlf.plugin import Device, Transform

#: The size, in pixels, that devices speak of when they say how many images are a chunk.
USUAL_SIZE = 224
#: How many times as many small images make a chunk, at most.
MOST_CHUNKS = 8


def build_network(job: Job) -> Model:
    """Return the network at the start of a run. Draws from torch's global generator.

    Args:
        job: The planned run.

    Raises:
        WeightsError: The weights are not here, or do not fit.
    """
    torch.manual_seed(job.spec.seed)
    backbone = build_backbone(job.family, job.model, job.transform.size)
    path = weights_path(job)
    if path is not None:
        family = job.family.part
        with job.family.calling(f"`ignored_weights` of `{job.model}`"):
            ignored = tuple(family.ignored_weights(job.model))

        def convert(tensors: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
            with job.family.calling(f"`convert_weights` of `{job.model}`"):
                return family.convert_weights(job.model, backbone.module, tensors)

        load_weights(
            backbone, read_weights(path), source=str(path), ignored=ignored, convert=convert
        )
    head = LinearHead(backbone.output_width, len(job.plan.classes), job.spec.head.options.dropout)
    head.reset(torch.Generator().manual_seed(job.spec.seed))
    model = Model(backbone, head)
    model.to(job.device)
    return model


def weights_path(job: Job) -> Path | None:
    """Return the file with the backbone's weights, fetched if need be; None for random weights.

    Args:
        job: The planned run.
    """
    if job.weights == "none":
        return None
    if job.weights != "default":
        return Path(job.weights)
    with job.family.calling(f"`fetch` of `{job.model}`"):
        return Path(job.family.part.fetch(job.model))


def chunk_size_of(device: Device, image_size: int) -> int:
    """Return how many images are evaluated at a time: about equally many pixels, whatever their size.

    Images of 28 pixels in chunks made for 224 would cost more in calls than in arithmetic.

    Args:
        device: Says how many of 224 pixels.
        image_size: Side of the square input image, in pixels.
    """
    share = (USUAL_SIZE / image_size) ** 2
    return max(1, round(device.chunk_size * min(share, MOST_CHUNKS)))


@torch.no_grad()
def evaluate_batches(
    model: Model,
    batches: Iterable[tuple[torch.Tensor, int]],
    transform: Transform[Any],
    device: Device,
) -> torch.Tensor:
    """Return logits `(N, classes)`, float32, on the CPU, of images in evaluation mode.

    Args:
        model: The network; it is left in evaluation mode.
        batches: Views, uint8 `(chunk, 3, S, S)`, each with how many of its rows count. All chunks
            have one size, so that a row does not depend on what it is evaluated with.
        transform: Gives mean and std.
        device: Where the network is.
    """
    model.eval()
    logits = []
    for images, valid in batches:
        inputs = to_input(images, transform.mean, transform.std, device)
        logits.append(model.logits(inputs, device)[:valid].cpu())
    return torch.cat(logits)
