"""Image files in folders, and any image that PIL can read as RGB, the way its owner sees it."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageSequence

from tlf.errors import DataError

#: How the names of image files end, in lower case.
IMAGE_SUFFIXES = frozenset(
    {
        ".bmp",
        ".gif",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)

#: Folders that computers make beside those of people's, with copies, thumbnails or leftovers in them.
_LEFTOVERS = frozenset(
    {"$RECYCLE.BIN", "@eaDir", "System Volume Information", "__MACOSX", "lost+found"}
)

_Turn = Image.Transpose

#: Tags of a TIFF that Pillow leaves to its users where a pixel is a number of more than 8 bits.
_BITS, _PHOTOMETRIC = 258, 262

#: What brings an image upright, by the value of the EXIF tag that says how the camera was held.
_UPRIGHT = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}


def is_image_file(path: Path) -> bool:
    """Say whether a file is an image by its name, and can be read without waiting for somebody.

    Args:
        path: The file. One that cannot even be looked at, a link that leads nowhere say, counts:
            reading it will say why.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and in the folders inside it, in a fixed order.

    Links are followed, but not to folders above, and each folder is visited once. What is hidden is
    passed over, and so is what systems leave behind: `__MACOSX`, say.

    Args:
        folder: Where to begin.

    Raises:
        DataError: A folder may not be read.
    """
    # A link to a folder above would bring in what lies beside this one: another class, say.
    return _walk(folder, set(folder.resolve().parents))


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders in a folder, and what else is in it, both sorted; nothing hidden.

    Args:
        folder: The folder.

    Raises:
        DataError: It may not be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not _is_hidden(path.name))
    except OSError as error:
        raise DataError(
            f"`{folder}` cannot be read ({(error.strerror or str(error)).lower()})",
            hint="make sure that you may read the folder and what is in it",
        ) from error
    folders = {path for path in paths if _is_folder(path)}
    return sorted(folders), [path for path in paths if path not in folders]


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    # Links may lead in circles, so a folder is visited once at most, whatever it is called.
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    folders, files = list_folder(folder)
    yield from files
    for inside in folders:
        yield from _walk(inside, seen)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _LEFTOVERS


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # A link to a place that may not be looked at, or has no possible name.
        return False


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGB: upright, opaque, 8 bits a channel.

    The EXIF orientation is applied, what is transparent shows white, and of an animation the first
    frame is taken. 12 and 16 bits are scaled from their whole range, not from the image's own: 65535
    is white, so that a brightness means the same in every image of a data set. Numbers of 32 bits
    have no agreed range, so the smallest usual one that holds an image's values is taken: 0..65535
    for integers; 0..1, 0..255 or 0..65535 for floats. Only an image whose values lie in none of them
    is scaled from its own least to its own greatest.

    Args:
        image: In any mode of PIL's.

    Returns:
        An RGB image, which may be `image` itself.

    Raises:
        OSError: The image's file is damaged. PIL raises other errors for some damage.
    """
    # To ask how many frames there are would read them all, and one of the others may be damaged.
    image = next(ImageSequence.Iterator(image))
    # Some formats turn the image themselves while loading, and then drop the tag.
    image.load()
    tags = getattr(image, "tag_v2", {})
    image = _upright(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_numbers(image, tags).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - PIL raises nearly every kind of error there is
        # A note that cannot be read is no reason to refuse the picture that it is about.
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> Image.Image:
    # PIL takes premultiplied grey to grey with alpha, but no further in one step.
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    canvas = Image.new("RGB", rgba.size, "white")
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return canvas


def _from_numbers(image: Image.Image, tags: Mapping[int, object]) -> Image.Image:
    # Some of what is no number warns when it is so much as copied.
    with np.errstate(invalid="ignore"):
        values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, posinf=np.inf, neginf=-np.inf)
    finite = values[np.isfinite(values)]
    least, greatest = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if image.mode.startswith("I;16") and tags.get(_BITS) == (12,):
        low, high = 0.0, 4095.0
    else:
        low, high = _range(image.mode, float(least), float(greatest))
    # 65535 / 255 = 257: 16 bits are divided by 257.
    scaled = (np.clip(values, low, high) - low) * 255.0 / (high - low)
    grey = np.rint(scaled).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == 0:
        # 0 is white in this file.
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _range(mode: str, least: float, greatest: float) -> tuple[float, float]:
    usual = (1.0, 255.0, 65535.0) if mode == "F" else (65535.0,)
    for limit in usual:
        if least >= 0.0 and greatest <= limit:
            return 0.0, limit
    # One more is no more where numbers are so large that they lie further apart.
    return least, greatest if greatest > least else least + max(1.0, abs(least))
