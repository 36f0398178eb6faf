"""MobileNetV2 as a LightningModule."""

from typing import Any

import lightning as L  # noqa: N812 - what everybody calls it
import torch
from common import network


class Classifier(L.LightningModule):
    """Learns with AdamW at a constant rate whatever requires gradients at the start."""

    def __init__(self, told: dict[str, Any], classes: int) -> None:
        super().__init__()
        self.model = network(told, classes)
        self.rate = told["rate"]

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        return torch.nn.functional.cross_entropy(self.model(images), labels)

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        """Note loss and accuracy of a batch."""
        images, labels = batch
        logits = self.model(images)
        accuracy = (logits.argmax(1) == labels).float().mean()
        loss = torch.nn.functional.cross_entropy(logits, labels)
        self.log_dict({"val_loss": loss, "val_accuracy": accuracy}, batch_size=len(images))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=self.rate)


def quiet_trainer(told: dict, folder: str, **more: object) -> L.Trainer:
    """Return a trainer on the processor that shows nothing and writes no log.

    Args:
        told: The settings.
        folder: Where it may write.
        more: What else it is to know.
    """
    return L.Trainer(
        accelerator="cpu",
        max_epochs=told["epochs"],
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **more,
    )
