"""Images that are unlike what the network was trained on: in size, shape, or kind of pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tlf.data.findings import Example, Finding, Place, counted, found
from tlf.data.looks import Look

#: An image is small if its shorter side is less than this share of what the network sees: the rest is
#: made up by enlarging.
SMALL_SHARE = 0.5
#: An image is narrow if it is more than so many times as long as wide: of its middle, a square, less
#: than a quarter is left.
MOST_ASPECT = 4.0
#: From this share on, grey images are spoken of.
GREY_SHARE = 0.5
#: Kinds of pixels that need no word.
_USUAL_MODES = frozenset({"RGB", "L"})
_MODES = {
    "1": "black and white, 1 bit",
    "P": "palette",
    "PA": "palette with transparency",
    "LA": "grey with transparency",
    "La": "grey with transparency",
    "RGBA": "colour with transparency",
    "RGBa": "colour with transparency",
    "CMYK": "CMYK, the inks of a printer",
    "YCbCr": "YCbCr",
    "LAB": "Lab",
    "HSV": "HSV",
    "F": "numbers with a point, 32 bits",
    "I": "whole numbers, 32 bits",
}


def odd_shapes(places: Sequence[Place], looks: Sequence[Look], image_size: int) -> list[Finding]:
    """Return what there is to say of small and of narrow images.

    Args:
        places: Of every image.
        looks: What was seen of each.
        image_size: Side of the square that the network sees, in pixels.
    """
    small, narrow = [], []
    for place, look in zip(places, looks, strict=True):
        example = Example((place,), {"width": look.width, "height": look.height})
        shorter, longer = sorted((look.width, look.height))
        if shorter < SMALL_SHARE * image_size:
            small.append(example)
        if longer > MOST_ASPECT * shorter:
            narrow.append(example)
    return found(
        Finding(
            "small-images",
            "note",
            f"{len(small):,} of {len(looks):,} images have a side shorter than half of the "
            f"{image_size} pixels that the network sees",
            "they are enlarged; a smaller `transforms.options.size` may do as well, and is faster",
            tuple(small),
        ),
        Finding(
            "narrow-images",
            "note",
            f"{counted(narrow, 'image is', 'images are')} more than {MOST_ASPECT:g} times as long "
            "as wide",
            "the network sees a square from the middle: make sure that what matters is there",
            tuple(narrow),
        ),
    )


def odd_pixels(places: Sequence[Place], looks: Sequence[Look]) -> list[Finding]:
    """Return what there is to say of grey images, of unusual kinds of pixels, and of animations.

    Args:
        places: Of every image.
        looks: What was seen of each.
    """
    grey = [place for place, look in zip(places, looks, strict=True) if look.fingerprint.is_grey]
    moving = [place for place, look in zip(places, looks, strict=True) if look.is_animated]
    kinds = Counter(look.mode for look in looks if look.mode not in _USUAL_MODES)
    return found(
        _grey(grey, len(looks)),
        Finding(
            "unusual-pixels",
            "note",
            f"{kinds.total():,} of {len(looks):,} images are neither plain colour nor grey",
            "they are made RGB: what is transparent shows white, 16 bits become 8",
            tuple(
                Example(facts={"mode": mode, "meaning": _meaning(mode), "images": number})
                for mode, number in kinds.most_common()
            ),
        ),
        Finding(
            "animated",
            "note",
            f"{counted(moving, 'image has', 'images have')} several frames, of which the first is used",
            "export the frames that matter as images of their own",
            tuple(Example((place,)) for place in moving),
        ),
    )


def _grey(grey: Sequence[Place], total: int) -> Finding:
    if len(grey) == total:
        message, hint = (
            f"all {total:,} images are grey",
            "they are made RGB of three equal channels",
        )
        examples = tuple(Example(facts={"images": total}) for _ in grey[:1])
    else:
        message = f"{len(grey):,} of {total:,} images are grey"
        hint = "see that no class can be told by it: networks learn that first"
        number = Counter((place.split, name) for place in grey for name in place.labels)
        examples = tuple(
            Example(facts={"split": split, "class": name, "images": count})
            for (split, name), count in number.items()
            if len(grey) >= GREY_SHARE * total
        )
    return Finding("grey-images", "note", message, hint, examples)


def _meaning(mode: str) -> str:
    return "16 bits" if mode.startswith("I;16") else _MODES.get(mode, mode)
