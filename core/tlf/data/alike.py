"""Images that look the same although their contents differ: what there is to say of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tlf.data import near
from tlf.data.findings import Example, Finding, Place, counted, found
from tlf.data.looks import Look


def same_looks(places: Sequence[Place], looks: Sequence[Look]) -> list[Finding]:
    """Return what there is to say of images that look the same although their contents differ.

    Args:
        places: Of every image.
        looks: What was seen of each.
    """
    copies: dict[str, list[int]] = {}
    for index, look in enumerate(looks):
        copies.setdefault(look.digest, []).append(index)
    # Of what is the same anyway, one; and nothing that shows nothing, for that looks all the same.
    firsts = [indices[0] for indices in copies.values()]
    flat = [index for index in firsts if looks[index].fingerprint.contrast < near.LEAST_CONTRAST]
    kept = set(flat)
    told = [index for index in firsts if index not in kept]
    pairs, complete = near.near_pairs([looks[index].fingerprint for index in told])
    pairs.sort(key=lambda pair: (pair.distance, -pair.likeness))
    examples = [
        _pair(
            pair,
            copies[looks[told[pair.first]].digest],
            copies[looks[told[pair.second]].digest],
            places,
        )
        for pair in pairs
    ]
    more = "" if complete else "at least "
    across = tuple(one for one in examples if _differ(one, "split"))
    inside = tuple(one for one in examples if not _differ(one, "split"))
    mixed = tuple(one for one in examples if _differ(one, "label"))
    hint = "look at them; what is one picture belongs into one split and one class"
    return found(
        Finding(
            "near-leak",
            "warning",
            f"{more}{counted(across, 'pair', 'pairs')} in different splits look the same, though "
            "the files differ",
            hint,
            across,
        ),
        Finding(
            "near-label-conflict",
            "warning",
            f"{more}{counted(mixed, 'pair', 'pairs')} with different labels look the same",
            hint,
            mixed,
        ),
        Finding(
            "near-duplicates",
            "note",
            f"{more}{counted(inside, 'pair', 'pairs')} inside one split look the same, though the "
            "files differ",
            "they count as several images, and teach no more than one",
            inside,
        ),
        Finding(
            "flat",
            "warning",
            f"{counted(flat, 'image shows', 'images show')} next to nothing (one even shade), and "
            "cannot be told from others by looks: not compared",
            "look at them: blank scans and covered lenses teach nothing",
            tuple(
                Example((places[index],), {"contrast": round(looks[index].fingerprint.contrast, 1)})
                for index in flat
            ),
        ),
    )


def _pair(
    pair: near.NearPair, first: Sequence[int], second: Sequence[int], places: Sequence[Place]
) -> Example:
    """Return a pair; of copies, those in different splits, or with different labels."""
    one = places[first[0]]
    others = [places[index] for index in second]
    other = next(
        (place for place in others if place.split != one.split),
        next((place for place in others if place.label != one.label), others[0]),
    )
    facts = {"distance": pair.distance, "likeness": round(pair.likeness, 4)}
    return Example((one, other), facts)


def _differ(example: Example, what: Literal["split", "label"]) -> bool:
    return len({getattr(place, what) for place in example.images}) > 1
