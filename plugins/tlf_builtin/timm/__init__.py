"""The backbone family `timm`: every classifier of timm."""

from __future__ import annotations

from tlf.plugin import BackboneFamilyDeclaration, hookimpl


@hookimpl
def tlf_backbone_families() -> list[BackboneFamilyDeclaration]:
    """Declare the family."""
    return [
        BackboneFamilyDeclaration(
            name="timm",
            summary="every classifier of timm, with the weights that timm knows of",
            target="tlf_builtin.timm.family:Timm",
            options="tlf_builtin.timm.options:TimmOptions",
            requires=("timm",),
            # One with a pooled convolution, one with tokens, one with two classifiers.
            example_models=("test_efficientnet", "test_vit", "test_resnet"),
            examples=({}, {"drop_path_rate": 0.1}),
        )
    ]
