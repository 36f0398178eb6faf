"""Feature extraction with fastai: `vision_learner`, frozen, with fastai's own head and one cycle."""

import tempfile
import time
from pathlib import Path

import torch
from common import network, settings, tell
from fastai.vision.all import (
    Flip,
    ImageDataLoaders,
    RandomResizedCrop,
    accuracy,
    default_split,
    imagenet_stats,
    model_meta,
    set_seed,
    vision_learner,
)


def main() -> None:
    """Train, and print what it took."""
    told = settings()
    set_seed(told["seed"])
    train, validation = Path(told["train"]), Path(told["validation"])
    assert train.parent == validation.parent
    started = time.perf_counter()
    loaders = ImageDataLoaders.from_folder(
        train.parent,
        train=train.name,
        valid=validation.name,
        bs=told["batch"],
        num_workers=told["workers"],
        item_tfms=RandomResizedCrop(224),
        batch_tfms=Flip(),
        device=torch.device("cpu"),
    )

    def mobilenet(pretrained: bool) -> torch.nn.Module:
        return network(told, loaders.c)

    model_meta[mobilenet] = {"cut": 1, "split": default_split, "stats": imagenet_stats}
    with tempfile.TemporaryDirectory() as folder:
        learner = vision_learner(loaders, mobilenet, metrics=accuracy, path=folder)
        with learner.no_bar(), learner.no_logging():
            learner.fit_one_cycle(told["epochs"])
    seconds = time.perf_counter() - started
    tell(seconds, float(learner.recorder.values[-1][-1]), ("fastai",))


if __name__ == "__main__":
    main()
