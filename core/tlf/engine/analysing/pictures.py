"""Small pictures as text that a page can hold: thumbnails, and what mattered drawn over an image."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tlf.plugin.images import to_rgb

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

#: Longest side of a picture, in pixels.
SIDE = 160

#: What speaks for a class and what against it: two of the colours of Okabe and Ito (2008), which also
#: those can tell apart who see red and green alike.
FOR_IT = (213, 94, 0)
AGAINST_IT = (0, 114, 178)

#: How opaque the strongest colour is, and how many colours a picture of them has.
OPAQUE = 0.8
COLOURS = 128


def thumbnail(picture: Image.Image) -> str:
    """Return a whole picture, small, as a `data:` URL of a JPEG.

    Args:
        picture: In any mode.
    """
    small = to_rgb(picture)
    small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=None)
    return _as_url(small, "jpeg", quality=80)


def overlay(image: torch.Tensor, attribution: npt.NDArray[np.float64]) -> str:
    """Return an image in grey with its attribution in colour, as a `data:` URL of a PNG.

    The colour is the more opaque the larger a value is beside the largest of the image.

    Args:
        image: What the network saw, uint8 `(3, S, S)`.
        attribution: `(S, S)`; above 0 where something speaks for the class.
    """
    grey = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")
    base = np.asarray(_resized(grey), dtype=np.float64)[:, :, None]
    values = np.asarray(_resized(Image.fromarray(attribution.astype(np.float32))), dtype=np.float64)
    largest = float(np.abs(values).max())
    share = np.abs(values)[:, :, None] / largest if largest else np.zeros((*values.shape, 1))
    colour = np.where(values[:, :, None] > 0, FOR_IT, AGAINST_IT)
    # Half of the contrast goes, so that what is bright is not taken for what mattered.
    pixels = (1 - OPAQUE * share) * (64 + base / 2) + OPAQUE * share * colour
    drawn = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
    # A palette makes it a third as large, and nobody sees it at this size.
    return _as_url(drawn.quantize(COLOURS, dither=Image.Dither.NONE), "png", optimize=True)


def _resized(image: Image.Image) -> Image.Image:
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def _as_url(image: Image.Image, kind: str, **options: object) -> str:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
