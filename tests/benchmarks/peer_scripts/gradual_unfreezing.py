"""Gradual unfreezing with finetuning-scheduler: phases that are given, each until a given epoch.

Beside what `common.py` names, it is told `phases`: each with regular expressions of `parameters`,
their `rate` (the first phase's is that of the optimizer), and the epoch `until` which it lasts. All
else is as finetuning-scheduler does it by itself: the best weights so far are restored where a phase
begins, and batch normalisation is in train mode.
"""

import tempfile
import time

import lightning as L  # noqa: N812 - what everybody calls it
from classifier import Classifier, quiet_trainer
from common import loaders, settings, tell
from finetuning_scheduler import FinetuningScheduler, FTSCheckpoint


def main() -> None:
    """Train, and print what it took."""
    told = settings()
    schedule = {
        number: {"params": phase["parameters"], "max_transition_epoch": phase["until"]}
        | ({"lr": phase["rate"]} if number else {})
        for number, phase in enumerate(told["phases"])
    }
    L.seed_everything(told["seed"], workers=True)
    started = time.perf_counter()
    train, validation = loaders(told)
    module = Classifier(told, len(train.dataset.classes))
    with tempfile.TemporaryDirectory() as folder:
        trainer = quiet_trainer(
            told,
            folder,
            callbacks=[
                FinetuningScheduler(ft_schedule=schedule, epoch_transitions_only=True),
                FTSCheckpoint(dirpath=folder, monitor="val_loss"),
            ],
        )
        trainer.fit(module, train, validation)
    seconds = time.perf_counter() - started
    packages = ("lightning", "finetuning-scheduler")
    tell(seconds, float(trainer.callback_metrics["val_accuracy"]), packages)


if __name__ == "__main__":
    main()
