"""Building the network of a run: backbone, weights, head, all on the device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.engine.inference import Inference, in_chunks
from tlf.engine.model import LinearHead, Model
from tlf.engine.parts import build_backbone
from tlf.engine.weights import load_weights, read_weights

if TYPE_CHECKING:
    from tlf.engine.parts import Made
    from tlf.engine.prepare import Job
    from tlf.plugin import Backbone, BackboneFamily, Device

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
    backbone = backbone_with_weights(job.family, job.model, job.transform.size, weights_path(job))
    head = LinearHead(backbone.output_width, len(job.plan.classes), job.spec.head.options.dropout)
    head.reset(torch.Generator().manual_seed(job.spec.seed))
    if job.adapted is not None:
        backbone = job.adapted.on(backbone, job.spec.seed)
    model = Model(backbone, head)
    model.to(job.device)
    return model


def backbone_with_weights(
    family: Made[BackboneFamily[Any]], model: str, image_size: int, path: Path | None
) -> Backbone:
    """Return a backbone with the weights of a file. Draws from torch's global generator.

    Args:
        family: The family.
        model: One of its models.
        image_size: Side of the square input image, in pixels.
        path: The file; None for random weights.

    Raises:
        WeightsError: They do not fit.
    """
    backbone = build_backbone(family, model, image_size)
    if path is None:
        return backbone
    with family.calling(f"`ignored_weights` of `{model}`"):
        ignored = tuple(family.part.ignored_weights(model))

    def convert(tensors: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        with family.calling(f"`convert_weights` of `{model}`"):
            return family.part.convert_weights(model, backbone.module, tensors)

    load_weights(backbone, read_weights(path), source=str(path), ignored=ignored, convert=convert)
    return backbone


def weights_path(job: Job) -> Path | None:
    """Return the file with the backbone's weights, fetched if need be; None for random weights.

    Args:
        job: The planned run.
    """
    return weights_file(job.family, job.model, job.weights)


def weights_file(family: Made[BackboneFamily[Any]], model: str, weights: str | Path) -> Path | None:
    """Return the file with the weights of a model, fetched if need be; None for random weights.

    Args:
        family: The family.
        model: One of its models.
        weights: A weights file, `default` or `none`.
    """
    if weights == "none":
        return None
    if weights != "default":
        return Path(weights)
    with family.calling(f"`fetch` of `{model}`"):
        return Path(family.part.fetch(model))


def chunk_size_of(device: Device, image_size: int) -> int:
    """Return how many images are evaluated at a time: about equally many pixels, whatever their size.

    Images of 28 pixels in chunks made for 224 would cost more in calls than in arithmetic.

    Args:
        device: Says how many of 224 pixels.
        image_size: Side of the square input image, in pixels.
    """
    share = (USUAL_SIZE / image_size) ** 2
    return max(1, round(device.chunk_size * min(share, MOST_CHUNKS)))


def inference_of(job: Job, model: Model) -> Inference:
    """Return what evaluates the backbone of a run.

    Args:
        job: The planned run.
        model: Its network.
    """
    chunk_size = chunk_size_of(job.device, job.transform.size)
    return Inference(model.backbone, job.device, chunk_size)


@torch.no_grad()
def head_logits(head: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Return logits `(N, classes)`, float32, of features in evaluation mode.

    Args:
        head: In evaluation mode.
        features: `(N, width)`, on the device.
    """
    # One row at a time: products of small matrices are rounded by where in the matrix a row stands.
    return in_chunks(head, features, 1)
