"""Fine-tuning with fastai's defaults: `fine_tune`, one frozen epoch and then all that is left."""

import tempfile
import time

from common import settings, tell
from fastai.vision.all import Resize
from fastai_learner import learner


def main() -> None:
    """Train, and print what it took."""
    told = settings()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        # Images must have one size; all else is what fastai's own introduction leaves as it is.
        made = learner(told, folder, item_tfms=Resize(224))
        with made.no_bar(), made.no_logging():
            made.fine_tune(told["epochs"] - 1)
    seconds = time.perf_counter() - started
    tell(seconds, float(made.recorder.values[-1][-1]), ("fastai",))


if __name__ == "__main__":
    main()
