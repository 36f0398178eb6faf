"""The backbone family `torchvision`: every classification model of torchvision."""

from __future__ import annotations

from tlf.plugin import BackboneFamilyDeclaration, hookimpl


@hookimpl
def tlf_backbone_families() -> list[BackboneFamilyDeclaration]:
    """Declare the family."""
    return [
        BackboneFamilyDeclaration(
            name="torchvision",
            summary="every classification model of torchvision, with its ImageNet weights",
            target="tlf_builtin.torchvision.family:Torchvision",
            requires=("torchvision",),
            example_models=("mobilenet_v2", "shufflenet_v2_x0_5", "squeezenet1_1"),
        )
    ]
