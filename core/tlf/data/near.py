"""Pictures that look the same although their files differ: another size, format or quality.

Two steps. A perceptual hash (pHash: Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010) of 64 bits proposes pairs; it says little of pictures with little in them, so each
pair is then compared by its thumbnails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.fft import dctn

#: How many of the 64 bits of two hashes may differ.
MOST_BITS = 8
#: How well thumbnails must agree, at least: their correlation. Digits of one class by different
#: writers reach 0.98 now and then; a photograph that was saved anew stays above 0.99.
LEAST_LIKENESS = 0.99
#: A picture whose thumbnail varies less than this, in levels of 255 (standard deviation), shows nothing
#: that could be compared.
LEAST_CONTRAST = 5.0
#: So many pairs are enough to see that the images are too much alike for such a search.
MOST_PAIRS = 10_000

#: Side of the picture that is hashed, in pixels; a thumbnail has half of it.
_SIDE = 32
#: Channels that differ by no more than this, in levels of 255, show no colour.
_GREY_LEVELS = 4
#: Comparisons at once: what fits into a processor's cache is fastest.
_AT_ONCE = 2**20


@dataclass(frozen=True)
class Fingerprint:
    """What a picture looks like, in few numbers.

    Attributes:
        bits: The perceptual hash, 64 bits.
        thumbnail: Its brightness, uint8 `(256,)`.
        contrast: Standard deviation of the thumbnail, in levels of 255.
        is_grey: Whether it shows no colour.
    """

    bits: int
    thumbnail: np.ndarray
    contrast: float
    is_grey: bool


@dataclass(frozen=True)
class NearPair:
    """Two pictures that look the same.

    Attributes:
        first: Place of one of them.
        second: Place of the other, which is greater.
        distance: In how many of 64 bits their hashes differ.
        likeness: Correlation of their thumbnails.
    """

    first: int
    second: int
    distance: int
    likeness: float


def fingerprint(image: Image.Image) -> Fingerprint:
    """Return what a picture looks like.

    Args:
        image: RGB, of any size.
    """
    small = image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels = np.asarray(small, dtype=np.int16)
    grey = np.asarray(small.convert("L"), dtype=np.float32)
    waves = dctn(grey, norm="ortho")[:8, :8].ravel()
    bits = np.packbits(waves > np.median(waves)).view(np.uint64)[0]
    half = _SIDE // 2
    thumbnail = grey.reshape(half, 2, half, 2).mean(axis=(1, 3)).ravel()
    return Fingerprint(
        bits=int(bits),
        thumbnail=np.rint(thumbnail).astype(np.uint8),
        contrast=float(thumbnail.std()),
        is_grey=int(np.ptp(pixels, axis=2).max()) <= _GREY_LEVELS,
    )


def near_pairs(prints: Sequence[Fingerprint]) -> tuple[list[NearPair], bool]:
    """Return the pairs of pictures that look the same, and whether these are all.

    Each is compared with each, which takes seconds for 50,000. The search ends early at `MOST_PAIRS`.

    Args:
        prints: Of pictures with enough contrast to be told apart.
    """
    if len(prints) < 2:
        return [], True
    hashes = np.array([one.bits for one in prints], dtype=np.uint64)
    units = np.stack([one.thumbnail for one in prints]).astype(np.float32)
    units -= units.mean(axis=1, keepdims=True)
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-6)
    rows = max(1, _AT_ONCE // len(hashes))
    pairs: list[NearPair] = []
    for start in range(0, len(hashes), rows):
        pairs += _pairs_of(hashes[start:], units[start:], rows, start)
        if len(pairs) >= MOST_PAIRS:
            return pairs[:MOST_PAIRS], False
    return pairs, True


def _pairs_of(hashes: np.ndarray, units: np.ndarray, rows: int, start: int) -> list[NearPair]:
    """Return the pairs of one of the first rows with any that comes after it."""
    distances = np.bitwise_count(hashes[:rows, None] ^ hashes[None, :])
    close = distances <= MOST_BITS
    count = len(distances)
    close[:, :count] &= np.triu(np.ones((count, count), dtype=bool), k=1)
    above, beside = np.flatnonzero(close.any(axis=1)), np.flatnonzero(close.any(axis=0))
    if not len(above):
        return []
    # One product of matrices, over what was proposed at all: quick also where nearly everything was.
    likeness = units[above] @ units[beside].T
    alike = close[np.ix_(above, beside)] & (likeness >= LEAST_LIKENESS)
    return [
        NearPair(
            int(above[row]) + start,
            int(beside[column]) + start,
            int(distances[above[row], beside[column]]),
            min(float(likeness[row, column]), 1.0),
        )
        for row, column in np.argwhere(alike)[:MOST_PAIRS]
    ]
