"""The transform `augment`: `standard`, then a random operation on pixels and an erased box."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_transforms() -> list[Declaration]:
    """Declare the transform."""
    return [
        Declaration(
            name="augment",
            summary="as `standard`; in training, TrivialAugment and random erasing too",
            target="tlf_builtin.augment.transform:Augment",
            options="tlf_builtin.augment.options:AugmentOptions",
            examples=({}, {"size": 64, "erasing": 1.0}, {"size": 96, "trivial_augment": False}),
        )
    ]
