"""Feature extraction with Lightning's Trainer: a frozen backbone, and a head that learns."""

import tempfile
import time

import lightning as L  # noqa: N812 - what everybody calls it
from classifier import Classifier, quiet_trainer
from common import loaders, settings, tell


def main() -> None:
    """Train, and print what it took."""
    told = settings()
    L.seed_everything(told["seed"], workers=True)
    started = time.perf_counter()
    train, validation = loaders(told)
    module = Classifier(told, len(train.dataset.classes))
    module.model.features.requires_grad_(False)
    # Or else Lightning would train its batch normalisation's statistics.
    module.model.features.eval()
    with tempfile.TemporaryDirectory() as folder:
        trainer = quiet_trainer(told, folder)
        trainer.fit(module, train, validation)
    seconds = time.perf_counter() - started
    tell(seconds, float(trainer.callback_metrics["val_accuracy"]), ("lightning",))


if __name__ == "__main__":
    main()
