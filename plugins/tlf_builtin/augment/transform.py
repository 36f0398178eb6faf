"""The transform `augment`: `standard`, and stronger random views."""

from __future__ import annotations

import torch
from torchvision.transforms.v2 import functional as F  # noqa: N812 - what torchvision calls it

from tlf.plugin import InputConfig
from tlf_builtin.augment.erasing import draw_erasing
from tlf_builtin.augment.options import AugmentOptions
from tlf_builtin.augment.trivial import draw_operation
from tlf_builtin.standard.transform import Standard


class Augment(Standard[AugmentOptions]):
    """Crops and mirrors as `standard`, then one drawn operation on the pixels, then an erased box.

    Args:
        options: Those of `standard`, and how strong the rest is.
        config: What the backbone's weights were trained to see.
    """

    def __init__(self, options: AugmentOptions, config: InputConfig) -> None:
        super().__init__(options, config)
        # What becomes 0 when the engine normalises, or the nearest to it that a byte can say.
        self._mean_colour = tuple(min(max(round(255 * value), 0), 255) for value in self.mean)

    def random_view(self, image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a random view of an image: cropped, altered, perhaps with a box erased, uint8.

        Args:
            image: What `load` returned, uint8 `(3, H, W)`. The view may share its memory.
            generator: Of the item.
        """
        view = super().random_view(image, generator)
        # Drawn even if it is not used: an option changes nothing but what it names.
        operation, magnitude = draw_operation(generator)
        if self.options.trivial_augment:
            view = operation.apply(view, magnitude, self._mean_colour)
        box = draw_erasing(
            generator,
            self.size,
            self.size,
            probability=self.options.erasing,
            scale=self.options.erasing_scale,
        )
        if box is None:
            return view
        colour = torch.tensor(self._mean_colour, dtype=torch.uint8, device=view.device)
        erased: torch.Tensor = F.erase(
            view, box.top, box.left, box.height, box.width, colour.view(3, 1, 1)
        )
        return erased
