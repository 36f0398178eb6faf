"""What stored rows depend on: two runs with one description find each other's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tlf.engine import inference, rounding
from tlf.engine.environment import describe_part, library_versions
from tlf.engine.files import file_digest
from tlf.plugin import stages

if TYPE_CHECKING:
    from tlf.engine.prepare import Job
    from tlf.registry import Registry

#: Of what is stored. Counts up when the same description would mean other bytes.
FORMAT_VERSION = 1


def describe_features(
    job: Job, registry: Registry, cut: int, digests: Mapping[str, str]
) -> dict[str, Any]:
    """Return what makes the rows at a cut: two runs with one description find each other's.

    Args:
        job: The planned run.
        registry: The installed plugins.
        cut: How many stages lie before the cut.
        digests: Of the parameters and buffers of those stages, by name.
    """
    plan = job.plan
    backbone = plan.backbone["name"]
    stage = plan.stages[cut - 1]
    added = {} if job.adapted is None else {"added": _describe_added(job, registry)}
    return {
        "what": f"features of {backbone}, {plan.place_of(cut)}, {plan.device['precision']}",
        "format_version": FORMAT_VERSION,
        "backbone": {
            **plan.backbone,
            "part": describe_part(registry, *_part(job, "backbone-family")),
            "stages": [one["name"] for one in plan.stages[:cut]],
            "shape": list(stage["output_shape"]),
            "state": digest_of_lines(
                f"{name} {digest}" for name, digest in sorted(digests.items())
            ),
        },
        "transforms": _describe_transform(job, registry),
        **_describe_computing(job, registry),
        **added,
    }


def describe_taught(job: Job, registry: Registry, teacher: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes the features that a teacher has of the views that a run trains on.

    Args:
        job: The planned run.
        registry: The installed plugins.
        teacher: What is the teacher's own, with a digest of its weights.
    """
    return {
        "what": f"features of the teacher {teacher['backbone']}",
        "format_version": FORMAT_VERSION,
        "teacher": teacher,
        "transforms": _describe_transform(job, registry),
        **_describe_computing(job, registry),
    }


def _describe_computing(job: Job, registry: Registry) -> dict[str, Any]:
    """Return what else results may differ in the last bit with."""
    plan = job.plan
    return {
        "device": {
            **{
                name: plan.device[name]
                for name in (
                    "precision",
                    "channels_last",
                    "chunk_size",
                    "threads",
                    "deterministic",
                )
            },
            "hardware": _hardware(job.device.torch_device),
            "part": describe_part(registry, *_part(job, "device")),
        },
        "libraries": library_versions(),
        "code": own_code(),
    }


def _describe_added(job: Job, registry: Registry) -> dict[str, Any]:
    """Return what stands for the modules that a strategy has added to the network.

    Not all of them is tensors. And what lies behind the cut counts too: it has a say in how many images
    are computed at a time, by which the last bits of what lies before may differ.
    """
    assert job.adapted is not None
    entry = job.adapted.strategy.entry
    return {
        "part": describe_part(registry, entry.kind, entry.declaration.name),
        "options": job.adapted.options,
    }


def describe_images(job: Job, registry: Registry) -> dict[str, Any]:
    """Return what makes decoded images.

    Args:
        job: The planned run.
        registry: The installed plugins.
    """
    return {
        "what": f"images as `{job.plan.transforms['name']}` loads them",
        "format_version": FORMAT_VERSION,
        "transforms": _describe_transform(job, registry),
        "libraries": library_versions(),
    }


def _describe_transform(job: Job, registry: Registry) -> dict[str, Any]:
    return {
        **job.plan.transforms,
        "part": describe_part(registry, *_part(job, "transform")),
    }


def _part(job: Job, kind: str) -> tuple[str, str]:
    return next(part for part in job.parts if part[0] == kind)


def _hardware(device: torch.device) -> str:
    if device.type == "cpu":
        known = sorted(
            name for name, there in torch.cpu.get_capabilities().items() if there is True
        )
        settings = (
            torch._C._get_mkldnn_enabled(),
            torch.get_float32_matmul_precision(),
            os.environ.get("ONEDNN_MAX_CPU_ISA"),
        )
        return f"cpu {torch.backends.cpu.get_cpu_capability()} {known} {settings}"
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return device.type


@cache
def own_code() -> str:
    """Return a digest of the code that splits networks and runs what is frozen."""
    splitting = sorted(Path(stages.__file__).parent.glob("*.py"))
    files = [Path(inference.__file__), Path(rounding.__file__), *splitting]
    return digest_of_lines(f"{file.name} {file_digest(file)}" for file in files)


def digest_of_lines(lines: Iterator[str]) -> str:
    """Return a digest of some lines of text.

    Args:
        lines: Without their ends.
    """
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
