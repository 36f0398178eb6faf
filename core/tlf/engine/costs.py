"""What the frozen part costs here, for one image: measured, or assumed where nothing may run."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from math import prod
from typing import TYPE_CHECKING

import torch
from PIL import Image

from tlf.data.patience import Patience
from tlf.data.reader import Read, Reader, Wanted
from tlf.data.threads import core_count
from tlf.errors import DataError
from tlf.planning import Costs

if TYPE_CHECKING:
    from tlf.engine.inference import Inference
    from tlf.engine.prepare import Job

#: Assumed where nothing is measured: a processor of a few cores. It decides what a plan shows, no more.
FLOPS_PER_SECOND = 20e9
DECODE_SECONDS = 4e-3
VIEW_SECONDS = 1e-3

#: How many images are decoded to see how long that takes.
TRIED_IMAGES = 4

#: How long to wait for one of them.
PATIENT_SECONDS = 5.0


def assumed_costs(job: Job) -> Costs:
    """Return what things may cost, by the sizes of the network and of the images.

    Args:
        job: The planned run.
    """
    stages = job.plan.stages[:-1]
    width = 4 if job.device.precision == "float32" else 2
    return Costs(
        decode=DECODE_SECONDS / _threads(job),
        view=VIEW_SECONDS / _threads(job),
        stages=tuple(stage["flops"] / FLOPS_PER_SECOND for stage in stages),
        row_bytes=tuple(prod(stage["output_shape"]) * width for stage in stages),
        decoded_bytes=_grey_image(job).nbytes,
        measured=False,
    )


def measured_costs(job: Job, inference: Inference) -> Costs:
    """Return what things cost, measured on a chunk of random pixels and a few images of the data set.

    Args:
        job: The planned run.
        inference: The network.
    """
    decode_seconds, image = _try_images(job)
    started = time.perf_counter()
    job.transform.evaluate(image[None])
    view = time.perf_counter() - started
    stages, sizes = _try_stages(job, inference)
    return Costs(
        decode=decode_seconds / _threads(job),
        view=view / _threads(job),
        stages=stages,
        row_bytes=sizes,
        decoded_bytes=image.nbytes,
        measured=True,
    )


def _threads(job: Job) -> int:
    return max(1, min(int(job.plan.training["workers"]), core_count()))


def _grey_image(job: Job) -> torch.Tensor:
    size = job.transform.size
    return job.transform.load(Image.new("RGB", (size, size)))


def _try_images(job: Job) -> tuple[float, torch.Tensor]:
    """Return the seconds to decode an image, and one such image."""
    loaded, seconds = _grey_image(job), []
    wanted = [Wanted(item) for item in job.dataset.splits["train"][:TRIED_IMAGES]]
    reader = Reader(job.transform, 0, Patience(PATIENT_SECONDS))
    # What cannot be read, or never is, is found and said when all images are read.
    with closing(reader.read(wanted)) as results, suppress(DataError):
        started = time.perf_counter()
        for result in results:
            if isinstance(result, Read) and result.image is not None:
                loaded = result.image
                seconds.append(time.perf_counter() - started)
            started = time.perf_counter()
    # The quickest: the others may have met something else that was going on.
    return min(seconds, default=DECODE_SECONDS), loaded


def _try_stages(job: Job, inference: Inference) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return the seconds of each stage for one image, and the bytes of what comes out of it."""
    generator = torch.Generator().manual_seed(0)
    size = job.transform.size
    chunk = inference.chunk_size
    images = torch.randn(chunk, 3, size, size, generator=generator).to(job.device.torch_device)
    if job.device.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    seconds, sizes = [], []
    # Not timed: libraries choose and prepare their kernels in it.
    inference.prepare()
    crossing = images
    for stage in range(inference.stages):
        job.device.synchronize()
        started = time.perf_counter()
        crossing = inference.run(crossing, stage, stage + 1)
        job.device.synchronize()
        seconds.append((time.perf_counter() - started) / chunk)
        sizes.append(crossing[0].nbytes)
    return tuple(seconds), tuple(sizes)
