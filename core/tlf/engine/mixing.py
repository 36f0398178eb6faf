"""MixUp and CutMix: images of a batch are mixed with each other, and their labels alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from tlf.data.seeds import stable_generator, stable_seed

if TYPE_CHECKING:
    from torchvision.transforms import v2

    from tlf.spec.model import MixingSpec


@dataclass
class Mixing:
    """Mixes batches, as torchvision does: each image with the one before it in the batch.

    Attributes:
        spec: How.
        classes: How many classes there are.
        seed: The run's seed. What is drawn is a fixed function of it, the epoch and the batch.
    """

    spec: MixingSpec
    classes: int
    seed: int

    def mix(
        self, images: torch.Tensor, targets: torch.Tensor, epoch: int, batch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a batch mixed: images, and targets as the share of each class.

        Args:
            images: Normalised, float32 `(N, 3, S, S)`.
            targets: Float32 `(N, classes)`, on the same device.
            epoch: Index of the epoch in the whole run.
            batch: Index of the batch in the epoch.
        """
        draw = stable_generator("mixing", self.seed, epoch, batch)
        mixed, which = torch.rand(2, generator=draw).tolist()
        if mixed >= self.spec.probability:
            return images, targets
        names = self.spec.name.split("-or-")
        transform = self._transforms[names[int(which * len(names))]]
        # torchvision draws from torch's own generator on the CPU. The run goes on with the numbers that
        # it would have had without.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(
                stable_seed("mixing shares", self.seed, epoch, batch)
            )
            return transform(images, targets)  # type: ignore[no-any-return]

    @cached_property
    def _transforms(self) -> dict[str, v2.Transform]:
        # Takes a while to import, and most runs mix nothing.
        from torchvision.transforms import v2

        return {
            "mixup": v2.MixUp(alpha=self.spec.mixup_alpha, num_classes=self.classes),
            "cutmix": v2.CutMix(alpha=self.spec.cutmix_alpha, num_classes=self.classes),
        }
