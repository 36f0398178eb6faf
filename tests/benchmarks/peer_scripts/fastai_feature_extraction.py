"""Feature extraction with fastai: `vision_learner`, frozen, with fastai's own head and one cycle."""

import tempfile
import time

from common import settings, tell
from fastai.vision.all import Flip, RandomResizedCrop
from fastai_learner import learner


def main() -> None:
    """Train, and print what it took."""
    told = settings()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        made = learner(
            told,
            folder,
            bs=told["batch"],
            item_tfms=RandomResizedCrop(224),
            batch_tfms=Flip(),
        )
        with made.no_bar(), made.no_logging():
            made.fit_one_cycle(told["epochs"])
    seconds = time.perf_counter() - started
    tell(seconds, float(made.recorder.values[-1][-1]), ("fastai",))


if __name__ == "__main__":
    main()
