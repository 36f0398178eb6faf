"""From the content of one item to an image, with one kind of error for all that can go wrong."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, UnidentifiedImageError

from tlf.data.reasons import reason_of

#: What may be decoded. PIL knows forty formats more, and some of these are no mere data: it hands
#: PostScript to whatever program is called `gs`. The last one is known where a library has added it.
_FORMATS = (
    "JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "AVIF", "DIB", "JPEG2000", "HEIF",
)  # fmt: skip


#: What files in PostScript begin with, as text and with a preview.
_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")


class UnreadableImageError(Exception):
    """An item's content is no image. Never reaches a user: the audit turns it into its own words.

    Args:
        reason: Why, in a few words, in lower case.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(content: bytes | np.ndarray) -> Image.Image:
    """Return the image, decoded completely.

    Args:
        content: An image file's bytes, or pixels as uint8 `(H, W)` or `(H, W, 3)`.

    Raises:
        UnreadableImageError: It is neither, or the file is damaged or absurdly large.
    """
    image = open_image(content)
    with _in_few_words():
        image.load()
    return image


def open_image(content: bytes | np.ndarray) -> Image.Image:
    """Return the image with its size and mode; of a file, nothing else is read yet.

    Args:
        content: An image file's bytes, or pixels as uint8 `(H, W)` or `(H, W, 3)`.

    Raises:
        UnreadableImageError: It is neither, or the start of the file is damaged, or the image is
            absurdly large.
    """
    if isinstance(content, np.ndarray):
        return _from_pixels(content)
    _check_bytes(content)
    if not content:
        raise UnreadableImageError("the file is empty")
    with _in_few_words():
        return _from_file(bytes(content))


def known_formats() -> list[str]:
    """Return the formats of image files that may be opened, by PIL's names."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


@contextmanager
def _in_few_words() -> Iterator[None]:
    """Make whatever PIL raises inside an `UnreadableImageError`."""
    try:
        yield
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("no image in a format that is known") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(_too_large()) from error
    except MemoryError:
        raise
    except Exception as error:
        # For a damaged file, PIL's decoders raise nearly every kind of error there is.
        raise UnreadableImageError(reason_of(error)) from error


def digest(content: bytes | np.ndarray) -> str:
    """Return the sha256 of an item's content in hexadecimal; for pixels, of shape and values.

    Args:
        content: What an item's `read` returned.

    Raises:
        UnreadableImageError: It is neither bytes nor an array.
    """
    if not isinstance(content, np.ndarray):
        _check_bytes(content)
        return hashlib.sha256(bytes(content)).hexdigest()
    state = hashlib.sha256(f"{content.dtype} {content.shape} ".encode())
    state.update(np.ascontiguousarray(content).data)
    return state.hexdigest()


def _check_bytes(content: object) -> None:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise UnreadableImageError(f"a {type(content).__name__}, neither bytes nor an array")


def _from_file(content: bytes) -> Image.Image:
    if content.startswith(_POSTSCRIPT):
        # PIL would start Ghostscript to run it.
        raise UnreadableImageError("a PostScript file, which is a program and no image")
    image = Image.open(io.BytesIO(content), formats=known_formats())
    # PIL warns above its limit and fails at twice that; here the limit is the limit.
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise UnreadableImageError(_too_large(image))
    return image


def _from_pixels(pixels: np.ndarray) -> Image.Image:
    grey, colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[-1] == 3
    if pixels.dtype != np.uint8 or not (grey or colour) or pixels.size == 0:
        raise UnreadableImageError(
            f"an array of {pixels.dtype} and shape {pixels.shape}, not uint8 (H, W) or (H, W, 3)"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _too_large(image: Image.Image | None = None) -> str:
    size = "" if image is None else f" of {image.width} x {image.height} pixels"
    return f"an image{size}, more than the {Image.MAX_IMAGE_PIXELS} pixels that are safe to decode"
