"""fastai's learner for MobileNetV2, with fastai's own head on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import network
from fastai.vision.all import (
    ImageDataLoaders,
    Learner,
    accuracy,
    default_split,
    imagenet_stats,
    model_meta,
    set_seed,
    vision_learner,
)


def learner(told: dict[str, Any], folder: str, **loading: Callable[..., Any] | int) -> Learner:
    """Return the learner, frozen, on the processor.

    Args:
        told: The settings.
        folder: Where it may write.
        loading: What else the loaders are told: transforms, a batch size.
    """
    set_seed(told["seed"])
    train, validation = Path(told["train"]), Path(told["validation"])
    assert train.parent == validation.parent
    loaders = ImageDataLoaders.from_folder(
        train.parent,
        train=train.name,
        valid=validation.name,
        num_workers=told["workers"],
        device=torch.device("cpu"),
        **loading,
    )

    def mobilenet(pretrained: bool) -> torch.nn.Module:
        return network(told, loaders.c)

    model_meta[mobilenet] = {"cut": 1, "split": default_split, "stats": imagenet_stats}
    return vision_learner(loaders, mobilenet, metrics=accuracy, path=folder)
